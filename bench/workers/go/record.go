package main

import (
	"maps"
	"slices"
	"time"
)

// A record is what one client did in a turn, in microseconds.
type record struct {
	latency, late, handoff []int64 // late: granted after the end of the turn
	errors                 int
}

func (r *record) done(ok bool, took time.Duration) {
	if ok {
		r.latency = append(r.latency, took.Microseconds())
	} else {
		r.errors++
	}
}

type result struct {
	Operations int      `json:"operations"`
	Seconds    float64  `json:"seconds"`
	Latency    [][2]int `json:"latency"`
	Waits      [][2]int `json:"waits"`
	Handoff    [][2]int `json:"handoff"`
	PerClient  []int    `json:"per_client"`
	Errors     int      `json:"errors"`
}

// collect takes the records of all clients, and empties them.
func (b *bench) collect(took time.Duration) result {
	latency, waits, handoff := map[int64]int{}, map[int64]int{}, map[int64]int{}
	result := result{Seconds: took.Seconds(), Waits: [][2]int{}}
	for _, c := range b.clients {
		count(latency, c.latency)
		count(waits, c.latency)
		count(waits, c.late)
		count(handoff, c.handoff)
		result.Operations += len(c.latency)
		result.PerClient = append(result.PerClient, len(c.latency))
		result.Errors += c.errors
		c.record = record{latency: c.latency[:0], late: c.late[:0], handoff: c.handoff[:0]}
	}
	result.Latency, result.Handoff = ascending(latency), ascending(handoff)
	if b.Work == "contend" || b.Work == "next" {
		result.Waits = ascending(waits)
	}
	return result
}

func count(into map[int64]int, times []int64) {
	for _, micros := range times {
		into[micros]++
	}
}

func ascending(times map[int64]int) [][2]int {
	pairs := make([][2]int, 0, len(times))
	for _, micros := range slices.Sorted(maps.Keys(times)) {
		pairs = append(pairs, [2]int{int(micros), times[micros]})
	}
	return pairs
}
