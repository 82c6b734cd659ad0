package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Who waits for the shared lock at the end of a turn waits for so long more. Where thousands poll, a system can come to
// a standstill; who gives up then counts as an error.
const patience = 45 * time.Second

var unlimited = context.Background()

type bench struct {
	job
	clients []*client
	// Who released the shared lock last, and when.
	last  atomic.Pointer[handover]
	began atomic.Int64
	told  sync.Map
}

type handover struct {
	client *client
	at     time.Time
}

type client struct {
	*bench
	number      int
	own, shared lock
	record
}

// prepare brings all clients to where the first turn can begin.
func prepare(job job, system system) (*bench, error) {
	b := &bench{job: job, clients: make([]*client, job.Clients)}
	for number := range b.clients {
		own := system.open(number, fmt.Sprintf("%s:%d", job.Lock, number))
		b.clients[number] = &client{bench: b, number: number, own: own, shared: system.open(number, job.Lock)}
	}
	switch {
	case job.Clients < 1:
		return nil, fmt.Errorf("no clients")
	case job.Work == "paced" && job.Pace <= 0:
		return nil, fmt.Errorf("paced without a pace")
	}
	if err := b.all(func(c *client) error { return c.pair() }); err != nil {
		return nil, err
	}
	switch job.Work {
	case "pair", "paced", "contend", "next":
		return b, nil
	case "renew":
		return b, b.all(func(c *client) error { return c.own.acquire(unlimited) })
	case "hold":
		return b, b.clients[0].shared.acquire(unlimited)
	case "still":
		return b, b.still()
	default:
		return nil, fmt.Errorf("no work %q here", job.Work)
	}
}

// still lets client 0 keep the lock and all others wait for it.
func (b *bench) still() error {
	holder := b.clients[0]
	if err := holder.shared.acquire(unlimited); err != nil {
		return err
	}
	go func() {
		for range time.Tick(b.lease() / 3) {
			holder.try(holder.shared.renew)
		}
	}()
	for _, c := range b.clients[1:] {
		go func() {
			b.began.Add(1)
			for !c.try(c.wait(unlimited)) {
			}
		}()
	}
	for b.began.Load() < int64(len(b.clients)-1) {
		time.Sleep(time.Millisecond)
	}
	// No library tells that it waits now. This is time for their first tries.
	time.Sleep(time.Second + time.Duration(len(b.clients))*time.Millisecond)
	return nil
}

// turn lets all clients work for so long, and waits until each has finished what it was doing.
func (b *bench) turn(length time.Duration) result {
	b.last.Store(nil)
	start := time.Now()
	end := start.Add(length)
	switch b.Work {
	case "pair":
		b.all(func(c *client) error { return c.repeat(end, c.pair) })
	case "renew":
		b.all(func(c *client) error { return c.repeat(end, c.own.renew) })
	case "paced":
		b.all(func(c *client) error { return c.paced(start, end) })
	case "contend":
		b.all(func(c *client) error { return c.contend(end) })
	case "next":
		c := b.clients[0]
		c.done(c.try(c.wait(unlimited)), time.Since(start))
	default: // hold, still
		time.Sleep(length)
	}
	if b.Work == "contend" {
		return b.collect(length)
	}
	return b.collect(time.Since(start))
}

// all runs the function for each client at the same time. Its error is one of theirs.
func (b *bench) all(run func(*client) error) error {
	failures := make(chan error, len(b.clients))
	for _, c := range b.clients {
		go func() { failures <- run(c) }()
	}
	var failure error
	for range b.clients {
		if err := <-failures; err != nil {
			failure = err
		}
	}
	return failure
}

func (c *client) pair() error {
	if err := c.own.acquire(unlimited); err != nil {
		return err
	}
	return c.own.release()
}

func (c *client) wait(limit context.Context) func() error {
	return func() error { return c.shared.acquire(limit) }
}

func (c *client) repeat(end time.Time, operation func() error) error {
	for now := time.Now(); now.Before(end); {
		ok := c.try(operation)
		after := time.Now()
		c.done(ok, after.Sub(now))
		now = after
	}
	return nil
}

func (c *client) paced(start, end time.Time) error {
	interval := time.Duration(float64(c.Clients) / c.Pace * float64(time.Second))
	due := start.Add(interval * time.Duration(c.number) / time.Duration(c.Clients))
	for due.Before(end) {
		time.Sleep(time.Until(due))
		began := time.Now()
		ok := c.try(c.pair)
		after := time.Now()
		c.done(ok, after.Sub(began))
		// One operation may follow at once, the others that were missed are dropped.
		due = due.Add(interval)
		if latest := after.Add(-interval); due.Before(latest) {
			due = latest
		}
	}
	time.Sleep(time.Until(end))
	return nil
}

func (c *client) contend(end time.Time) error {
	limit, cancel := context.WithDeadline(unlimited, end.Add(patience))
	defer cancel()
	acquire := c.wait(limit)
	hold := time.Duration(c.HoldUs) * time.Microsecond
	for {
		asked := time.Now()
		if !asked.Before(end) {
			return nil
		}
		if !c.try(acquire) {
			c.done(false, 0)
			continue
		}
		granted := time.Now()
		if !granted.Before(end) {
			c.late = append(c.late, granted.Sub(asked).Microseconds())
		} else {
			c.done(true, granted.Sub(asked))
			if last := c.last.Load(); last != nil && last.client != c {
				c.handoff = append(c.handoff, granted.Sub(last.at).Microseconds())
			}
		}
		if hold > 0 {
			time.Sleep(hold)
		}
		c.last.Store(&handover{c, time.Now()})
		if !c.try(c.shared.release) {
			c.errors++
		}
	}
}

// try tells each failure once. It pauses then, so that a server that is gone is not called in a tight loop.
func (c *client) try(operation func() error) bool {
	err := operation()
	if err == nil {
		return true
	}
	if _, told := c.told.LoadOrStore(err.Error(), true); !told {
		fmt.Fprintln(os.Stderr, err)
	}
	time.Sleep(10 * time.Millisecond)
	return false
}
