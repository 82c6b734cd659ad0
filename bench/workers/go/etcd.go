package main

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	etcd "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"
)

var etcdLacks = map[string]string{
	"reenter": "etcd's mutex counts no holds: the first unlock frees it",
}

type etcdSystem struct {
	client   *etcd.Client
	sessions []*concurrency.Session
}

// All clients share one etcd client, which is one HTTP/2 connection, as etcd's documentation tells programs to do.
// Each has a session of its own, since two lockers of one session are one owner.
func connectEtcd(job job) (system, error) {
	// The failures that its log has are told anyway, each once.
	client, err := etcd.New(etcd.Config{Endpoints: job.URLs, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	// A session that cannot be opened waits without end. This tells whether the server is there.
	limited, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := client.Get(limited, job.Lock); err != nil {
		return nil, fmt.Errorf("%v: %w", job.URLs, err)
	}
	system := &etcdSystem{client, make([]*concurrency.Session, job.Clients)}
	// Leases are whole seconds.
	ttl := int(max(1, math.Round(job.lease().Seconds())))
	return system, system.all(func(number int) (err error) {
		system.sessions[number], err = concurrency.NewSession(client, concurrency.WithTTL(ttl))
		return err
	})
}

func (s *etcdSystem) open(client int, name string) lock {
	session := s.sessions[client]
	return etcdLock{concurrency.NewMutex(session, name), session}
}

// Leases that are left would end in the time of the next worker, and cost the server work then.
func (s *etcdSystem) close() {
	s.all(func(number int) error { return s.sessions[number].Close() })
}

func (s *etcdSystem) all(run func(number int) error) error {
	var group sync.WaitGroup
	failures := make([]error, len(s.sessions))
	for number := range s.sessions {
		group.Go(func() { failures[number] = run(number) })
	}
	group.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

type etcdLock struct {
	*concurrency.Mutex
	session *concurrency.Session
}

func (l etcdLock) acquire(limit context.Context) error { return l.Lock(limit) }
func (l etcdLock) release() error                      { return l.Unlock(context.Background()) }

// The session renews its lease by itself, every third of it. This is the one way to renew it by hand.
func (l etcdLock) renew() error {
	_, err := l.session.Client().KeepAliveOnce(context.Background(), l.session.Lease())
	return err
}
