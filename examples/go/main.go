// Charges an order under the lock `lock:orders`; REDIS_URL says which server.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// charge is the work. Its ledger remembers the largest token it has seen and refuses a smaller one.
func charge(_ context.Context, _ string, token int64) error {
	fmt.Printf("acquired token=%d\n", token)
	return nil
}

func chargeAlone(ctx context.Context, db *redis.Client) error {
	owner := uuid.NewString() // a new one for each hold
	// HOLDS makes both calls safe to send again when a reply was lost.
	acquire := db.Do(ctx, "LOCK.ACQUIRE", "lock:orders", owner, 30_000, "HOLDS", 1)
	reply, err := acquire.Int64Slice()
	if err != nil {
		return err
	}
	acquired, token, ttl := reply[0] == 1, reply[2], reply[3]
	if !acquired {
		fmt.Printf("busy, %d ms left\n", ttl)
		return nil
	}
	defer func() { // not with ctx: released also where the work was cancelled
		ctx := context.Background()
		release := db.Do(ctx, "LOCK.RELEASE", "lock:orders", owner, "HOLDS", 0, "TOKEN", token)
		if release.Err() == nil { // else the lock lapses by itself
			fmt.Println("released")
		}
	}()
	return charge(ctx, "order-17", token) // with the token, so that a late write can be refused
}

func main() {
	url := os.Getenv("REDIS_URL")
	if url == "" {
		url = "redis://127.0.0.1:6379"
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		log.Fatal(err)
	}
	if err := chargeAlone(context.Background(), redis.NewClient(options)); err != nil {
		log.Fatal(err)
	}
}
