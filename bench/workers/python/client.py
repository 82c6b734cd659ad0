"""One client of a job: a thread, its lock, and the loops of the works."""

import sys
import threading
import time

clock = time.perf_counter_ns
complaints = set()


def complain(error):
    text = f"{type(error).__name__}: {error}"
    if text not in complaints:
        complaints.add(text)
        print(text, file=sys.stderr, flush=True)


class Round:
    """From one `go` to its result. The barriers begin it and end it for everybody at once."""

    def __init__(self, clients):
        self.starts = threading.Barrier(clients + 1, action=self._begin)
        self.ends = threading.Barrier(clients + 1)
        self.seconds, self.over = 0.0, False
        self.began = self.until = 0
        # Who released the one lock last, and when: written by who holds it, read by who has it next.
        self.released_by, self.released_at = -1, 0

    def _begin(self):
        self.released_by = -1
        self.began = clock()
        self.until = self.began + int(self.seconds * 1e9)


class Client:
    """Most locks belong to their thread: so one thread does everything for a client."""

    def __init__(self, job, round, system, number):
        self.job, self.round, self.system, self.number = job, round, system, number
        self.work = job["work"]
        self.prepared, self.failure = threading.Event(), None
        self.latency, self.late, self.handoff, self.errors, self.ended = [], [], [], 0, 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            self._prepare()
        except Exception as error:
            self.failure = error
        self.prepared.set()
        while self.failure is None:
            self.round.starts.wait()
            if self.round.over:
                if self.work in ("hold", "renew"):
                    self._tried(self.lock.release)
                self.round.ends.wait()
                return
            self.latency, self.late, self.handoff, self.errors = [], [], [], 0
            getattr(self, self.work)()
            self.ended = clock()
            self.round.ends.wait()
            if self.work == "next" and self.latency:
                self._tried(self.lock.release)

    def _prepare(self):
        own = f"{self.job['lock']}:{self.number}"
        if self.work in ("contend", "still", "hold", "next"):
            keeps = self.number == 0 and self.work in ("still", "hold")
            self.lock = self.system.mutex(own)
            self._pair()
            self.lock = self.system.mutex(self.job["lock"], keeps)
        else:
            keeps = self.work == "renew"
            self.lock = self.system.mutex(own)
            self._pair()
        self.extend = getattr(self.lock, getattr(self.system, "renew", ""), None)
        if keeps:
            self._take()

    def _take(self):
        if not self.lock.acquire():
            raise RuntimeError("acquire returned False")

    def _pair(self):
        self._take()
        self.lock.release()

    def _nest(self):
        depth = self.job["depth"]
        for _ in range(depth):
            self._take()
        for _ in range(depth):
            self.lock.release()

    def _tried(self, operation):
        try:
            operation()
            return True
        except Exception as error:
            self.errors += 1
            complain(error)
            return False

    def _repeat(self, operation):
        until, latency = self.round.until, self.latency
        began = clock()
        while began < until:
            done = self._tried(operation)
            ended = clock()
            if done:
                latency.append(ended - began)
            began = ended

    def pair(self):
        self._repeat(self._pair)

    def reenter(self):
        self._repeat(self._nest)

    def renew(self):
        self._repeat(self.extend)

    def paced(self):
        """Client n of N is due at n/pace, (n + N)/pace, and so on. A late one skips what it missed."""
        period = int(1e9 * self.job["clients"] / self.job["pace"])
        due = self.round.began + int(1e9 * self.number / self.job["pace"])
        while due < self.round.until:
            began = clock()
            if began < due:
                time.sleep((due - began) / 1e9)
                began = clock()
            if self._tried(self._pair):
                self.latency.append(clock() - began)
            due = max(due + period, clock())
        time.sleep(max(0, self.round.until - clock()) / 1e9)

    def contend(self):
        round, number, lock, hold = self.round, self.number, self.lock, self.job["hold_us"] / 1e6
        began = clock()
        while began < round.until:
            if self._tried(self._take):
                held = clock()
                if held >= round.until:
                    self.late.append(held - began)
                else:
                    self.latency.append(held - began)
                    if round.released_by not in (number, -1):
                        self.handoff.append(held - round.released_at)
                if hold:
                    time.sleep(hold)
                round.released_by, round.released_at = number, clock()
                self._tried(lock.release)
            began = clock()

    def still(self):
        """Client 0 has the lock and keeps it; the others wait for it, for ever."""
        if self.number > 0:
            self._tried(self._take)
        while self.number == 0:
            time.sleep(self.job["lease_ms"] / 3000)
            if self.extend is not None:
                self._tried(self.extend)

    def hold(self):
        time.sleep(self.round.seconds)

    def next(self):
        began = clock()
        if self._tried(self._take):
            self.latency.append(clock() - began)
