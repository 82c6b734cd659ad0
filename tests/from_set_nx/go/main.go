// Calls redsync as a test says: reads a call a line, and prints what comes of it.
//
//	acquire 60000   ->  true         waits for up to so many ms
//	release         ->  true
//	extend          ->  false ...
//
// The arguments are the server's URL, the lock's name and its lease in ms. The program ends with its input.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
)

func main() {
	options, err := redis.ParseURL(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	lease := milliseconds(os.Args[3])
	retry := redsync.WithRetryDelay(10 * time.Millisecond)
	tries := redsync.WithTries(1 << 30) // its context ends the wait
	pool := goredis.NewPool(redis.NewClient(options))
	lock := redsync.New(pool).NewMutex(os.Args[2], redsync.WithExpiry(lease), retry, tries)

	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		words := strings.Fields(lines.Text())
		var done bool
		var err error
		switch {
		case words[0] == "acquire" && words[1] == "0":
			err = lock.TryLock()
			done = err == nil
		case words[0] == "acquire":
			limited, cancel := context.WithTimeout(context.Background(), milliseconds(words[1]))
			err = lock.LockContext(limited)
			done = err == nil
			cancel()
		case words[0] == "release":
			done, err = lock.Unlock()
		case words[0] == "extend":
			done, err = lock.Extend()
		default:
			log.Fatalf("no such call: %s", words[0])
		}
		if err == nil {
			fmt.Println(done)
		} else {
			fmt.Println(done, strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
}

func milliseconds(text string) time.Duration {
	ms, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return time.Duration(ms) * time.Millisecond
}
