package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/google/uuid"
	goredis9 "github.com/redis/go-redis/v9"
)

var redsyncLacks = map[string]string{
	"reenter": "redsync's mutex is not reentrant",
}

type redsyncSystem struct {
	job
	*redsync.Redsync
	servers []*goredis9.Client
}

// All clients share one go-redis client for each server, as the goroutines of one program do: its pool has the
// default size, 10 connections for each CPU. (With a connection for each of 1,000 clients, there were fewer grants.)
func connectRedsync(job job) (system, error) {
	system := &redsyncSystem{job: job}
	var pools []redis.Pool
	for _, url := range job.URLs {
		options, err := goredis9.ParseURL(url)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", url, err)
		}
		server := goredis9.NewClient(options)
		// An acquire tries without end. This tells whether the server is there.
		if err := server.Ping(context.Background()).Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", url, err)
		}
		system.servers = append(system.servers, server)
		pools = append(pools, goredis.NewPool(server))
	}
	system.Redsync = redsync.New(pools...)
	return system, nil
}

func (s *redsyncSystem) open(client int, name string) lock {
	return redsyncLock{s.NewMutex(name,
		redsync.WithExpiry(s.lease()),
		// The default is to give up after 32 tries. The delay between them stays the default: 50 to 250 ms, at random.
		redsync.WithTries(math.MaxInt),
		// As long as the owners of the other systems. The default is 24 characters.
		redsync.WithGenValueFunc(func() (string, error) {
			return fmt.Sprintf("%s:%d", uuid.NewString(), client), nil
		}),
	)}
}

func (s *redsyncSystem) close() {
	for _, server := range s.servers {
		server.Close()
	}
}

type redsyncLock struct{ *redsync.Mutex }

func (l redsyncLock) acquire(limit context.Context) error { return l.LockContext(limit) }
func (l redsyncLock) release() error                      { return done(l.Unlock()) }
func (l redsyncLock) renew() error                        { return done(l.Extend()) }

func done(ok bool, err error) error {
	if err == nil && !ok {
		return errors.New("the lock is not held by a majority")
	}
	if ok {
		return nil
	}
	return err
}
