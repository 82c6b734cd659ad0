// Plays the clients of redsync and of etcd for lock-bench. The protocol is described in ../README.md: a job, then
// one line for each turn, on stdin; the answers on stdout.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// A system makes locks, each as one client sees it.
type system interface {
	open(client int, name string) lock
	close()
}

type lock interface {
	// acquire waits until the limit ends.
	acquire(limit context.Context) error
	release() error
	// renew extends the lease of a lock that is held.
	renew() error
}

var systems = map[string]struct {
	module  string
	connect func(job) (system, error)
	// What the system has no way to do, and why.
	unsupported map[string]string
}{
	"redsync":      {"github.com/go-redsync/redsync/v4", connectRedsync, redsyncLacks},
	"redsync-five": {"github.com/go-redsync/redsync/v4", connectRedsync, redsyncLacks},
	"etcd":         {"go.etcd.io/etcd/client/v3", connectEtcd, etcdLacks},
}

type job struct {
	System  string   `json:"system"`
	URLs    []string `json:"urls"`
	Work    string   `json:"work"`
	Lock    string   `json:"lock"`
	Clients int      `json:"clients"`
	HoldUs  int64    `json:"hold_us"`
	LeaseMs int64    `json:"lease_ms"`
	Pace    float64  `json:"pace"`
}

func (j job) lease() time.Duration { return time.Duration(j.LeaseMs) * time.Millisecond }

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	if err := serve(in, out); err != nil {
		out.Encode(map[string]string{"error": err.Error()})
	}
}

func serve(in *json.Decoder, out *json.Encoder) error {
	var job job
	if err := in.Decode(&job); err != nil {
		return fmt.Errorf("the job: %w", err)
	}
	kind, known := systems[job.System]
	if !known {
		return fmt.Errorf("no system %q here", job.System)
	}
	if why, lacks := kind.unsupported[job.Work]; lacks {
		return out.Encode(map[string]string{"unsupported": why})
	}
	system, err := kind.connect(job)
	if err != nil {
		return err
	}
	defer system.close()
	bench, err := prepare(job, system)
	if err != nil {
		return err
	}
	ready := map[string]any{"ready": true, "version": version(kind.module)}
	if err := out.Encode(ready); err != nil {
		return err
	}
	for {
		var turn struct {
			Go float64 `json:"go"`
		}
		if err := in.Decode(&turn); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("a turn: %w", err)
		}
		result := bench.turn(time.Duration(turn.Go * float64(time.Second)))
		if err := out.Encode(result); err != nil {
			return err
		}
		if job.Work == "next" {
			bench.clients[0].try(bench.clients[0].shared.release)
		}
	}
}

// version is the name and the version of the module, as it was built in: `redsync 4.18.1`.
func version(module string) string {
	names := map[string]string{"go.etcd.io/etcd/client/v3": "etcd/client"}
	name, named := names[module]
	if !named {
		name = strings.Split(module, "/")[2]
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return name + " " + strings.TrimPrefix(dependency.Version, "v")
			}
		}
	}
	return name
}
