// Charges an order under the lock `lock:orders`, with go-redis. REDIS_URL names the server, WAIT_MS says how
// long to wait for the lock, and WORK_MS how long the work takes. The rules that it follows:
// https://github.com/redis-reentrant-lock/redis-reentrant-lock/blob/main/docs/clients.md
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// ErrLost is the cause with which the context of the work ends when the lock is lost.
var ErrLost = errors.New("the lock is lost")

// Busy is the error of a wait that is over: how many ms the lease of the lock's holder still lasts.
type Busy int64

func (left Busy) Error() string { return fmt.Sprintf("busy, %d ms left", int64(left)) }

// WithLock waits up to wait for the lock, then runs work with the fencing token. The work's context ends at
// once when the lock is lost: the work has to stop then.
func WithLock(ctx context.Context, url, key string, wait time.Duration, work func(context.Context, int64) error) error {
	held, end := context.WithCancelCause(ctx)
	lose := func(why any) { end(fmt.Errorf("%w: %v", ErrLost, why)) }
	defer end(nil)
	db, err := connect(ctx, url, wait, lose)
	if err != nil {
		return err
	}
	defer db.Close() // whatever is still held is free then
	call := func(limit time.Duration, words ...any) *redis.Cmd {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		return db.Do(limited, words...)
	}

	owner := uuid.NewString() // a new one for each hold
	acquire := []any{"LOCK.ACQUIRE", key, owner, "SESSION", "HOLDS", 1}
	if wait > 0 { // WAIT 0 has no limit
		acquire = append(acquire, "WAIT", (wait + time.Millisecond - 1).Milliseconds())
	}
	waiting, sent := context.AfterFunc(ctx, func() { db.Close() }), time.Now()
	reply, err := call(wait+5*time.Second, acquire...).Int64Slice()
	if !waiting() {
		return context.Cause(ctx)
	} else if err != nil {
		return err
	} else if reply[0] == 0 {
		return Busy(reply[3])
	}
	token, lease := reply[2], milliseconds(reply[3])

	// The lock is held for the ttl of a reply, counted from when the call was sent. A lease that was waited for
	// began some time after that: then the check below counts anew, before the work begins.
	over := time.AfterFunc(lease, func() { lose("its lease is over") })
	defer over.Stop()
	check := func() error { // the server renews the lease: this learns that it did
		sent := time.Now()
		reply, err := call(lease, "LOCK.RENEW", key, owner, "TOKEN", token).Int64Slice()
		if redis.HasErrorPrefix(err, "NOTOWNER") {
			lose(err)
		} else if err == nil { // after another error the next check may succeed, while the lease lasts
			over.Reset(time.Until(sent.Add(milliseconds(reply[3]))))
		}
		return err
	}
	if time.Since(sent) <= lease/10 {
		over.Reset(time.Until(sent.Add(lease)))
	} else if err := check(); err != nil {
		return errors.Join(context.Cause(held), err)
	}
	go func() {
		for ticks := time.Tick(lease / 3); held.Err() == nil; check() {
			select {
			case <-ticks:
			case <-held.Done():
				return
			}
		}
	}()

	failure := work(held, token)
	if errors.Is(context.Cause(held), ErrLost) {
		return errors.Join(context.Cause(held), failure)
	}
	left, err := call(5*time.Second, "LOCK.RELEASE", key, owner, "HOLDS", 0, "TOKEN", token).Int64()
	if err != nil {
		return errors.Join(fmt.Errorf("%w, or its release is: %v", ErrLost, err), failure)
	} else if left == -1 {
		return errors.Join(fmt.Errorf("%w: it had ended before the work did", ErrLost), failure)
	}
	return failure
}

// connect opens the connection that the lock is bound to, and calls lose as soon as it ends.
func connect(ctx context.Context, url string, wait time.Duration, lose func(any)) (*redis.Client, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	keepAlive := net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
	tcp := &net.Dialer{Timeout: 5 * time.Second, KeepAliveConfig: keepAlive}
	dial := tcp.DialContext
	if options.TLSConfig != nil {
		dial = (&tls.Dialer{NetDialer: tcp, Config: options.TLSConfig}).DialContext
	}
	server, err := dial(ctx, options.Network, options.Addr)
	if err != nil {
		return nil, err
	}
	// go-redis reads from a connection only when it expects a reply. So it gets the end of a pipe, and the
	// server's end of the connection is noticed here.
	near, far := net.Pipe()
	go func() { io.Copy(server, far); server.Close() }()
	go func() { io.Copy(far, server); lose("its connection has ended"); far.Close() }()
	options.Dialer = func(context.Context, string, string) (net.Conn, error) { return near, nil }
	// One connection, nothing that is sent again, and no reply that nobody asked for.
	options.PoolSize, options.ConnMaxIdleTime, options.MaxRetries, options.Protocol = 1, -1, -1, 2
	options.ReadTimeout, options.ContextTimeoutEnabled = wait+5*time.Second, true
	return redis.NewClient(options), nil
}

// milliseconds keeps to what a Duration can be.
func milliseconds(ms int64) time.Duration { return time.Duration(min(ms, 1<<43)) * time.Millisecond }

func main() {
	url := os.Getenv("REDIS_URL")
	if url == "" {
		url = "redis://127.0.0.1:6379"
	}
	wait, takes := setting("WAIT_MS", 1000), setting("WORK_MS", 0)
	// The work. Its ledger remembers the largest token it has seen and refuses a smaller one.
	charge := func(ctx context.Context, token int64) error {
		fmt.Printf("acquired token=%d\n", token)
		select {
		case <-time.After(takes):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := WithLock(context.Background(), url, "lock:orders", wait, charge)
	var busy Busy
	switch {
	case err == nil:
		fmt.Println("released")
	case errors.As(err, &busy):
		fmt.Println(busy)
	case errors.Is(err, ErrLost):
		fmt.Println("lost")
		os.Exit(1)
	default:
		log.Fatal(err)
	}
}

func setting(name string, otherwise int64) time.Duration {
	text := os.Getenv(name)
	if text == "" {
		return milliseconds(otherwise)
	}
	ms, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		log.Fatalf("%s must be milliseconds, from 0 to 2147483647", name)
	}
	return milliseconds(int64(ms))
}
