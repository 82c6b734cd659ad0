"""A PostgreSQL in a temporary directory, which listens on a socket there only, and ends with the program."""

import ctypes
import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import psycopg

# The report adds up all sales, each time: what nobody wants to run a hundred times at once.
TABLES = """
CREATE SEQUENCE queries;
CREATE TABLE sale AS SELECT number % 1000 AS product, number % 97 AS price FROM generate_series(1, {rows}) AS number;
CREATE FUNCTION report() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM nextval('queries');
    RETURN (SELECT string_agg(product || ':' || total, ' ' ORDER BY total DESC)
            FROM (SELECT product, sum(price) AS total FROM sale GROUP BY product) AS products);
END $$;
"""

# It loses nothing that is worth keeping, and does nothing on the side that would be counted as the workers' doing.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}


class Database:
    """Runs while it is used in a `with` statement. `connections` is how many workers connect at once."""

    def __init__(self, connections, rows):
        self.connections = connections
        self.rows = rows
        # PostgreSQL refuses to run as root.
        self.account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self.programs = find_programs()

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="cache-breakdown-")
        try:
            self.start()
            with self.connect() as db:
                db.execute(TABLES.format(rows=self.rows))
                db.execute("VACUUM ANALYZE sale")
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        data = os.path.join(self.folder, "data")
        become = {}
        if self.account:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
            become = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        initdb = [os.path.join(self.programs, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
        made = subprocess.run(initdb, cwd=self.folder, capture_output=True, text=True, **become)
        if made.returncode != 0:
            sys.exit(f"initdb failed: {made.stderr.strip()}")

        settings = {**SETTINGS, "unix_socket_directories": self.folder, "max_connections": self.connections + 10}
        postgres = [os.path.join(self.programs, "postgres"), "-D", data]
        postgres += [f"--{name}={value}" for name, value in settings.items()]
        libc = ctypes.CDLL(None)
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                postgres,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                # PR_SET_PDEATHSIG: it ends at once where this program is killed.
                preexec_fn=lambda: libc.prctl(1, signal.SIGQUIT),
                **become,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.connect().close()
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    with open(self.log, encoding="utf-8", errors="replace") as log:
                        sys.exit(f"PostgreSQL did not start: {error}\n{log.read()}")
                time.sleep(0.02)

    def __exit__(self, *_):
        process = getattr(self, "process", None)
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self):
        return psycopg.connect(host=self.folder, user="postgres", dbname="postgres", autocommit=True)

    def queries(self):
        """How often the report has been run, counted by the database itself."""
        with self.connect() as db:
            return db.execute("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM queries").fetchone()[0]

    def cpu(self, ended=()):
        """Seconds of processor time that the database has used. Waits for the end of these of its processes, which
        count from then on."""
        deadline = time.monotonic() + 60
        while any(os.path.exists(f"/proc/{pid}") for pid in ended):
            if time.monotonic() > deadline:
                sys.exit("PostgreSQL did not end the connections that were closed")
            time.sleep(0.01)
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        # Its own and those of its children that have ended: utime, stime, cutime, cstime.
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def find_programs():
    """The directory of initdb and postgres. Debian keeps them out of the PATH."""
    initdb = shutil.which("initdb")
    if initdb:
        return os.path.dirname(os.path.realpath(initdb))
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    if not found:
        sys.exit("PostgreSQL is missing: apt-get install postgresql")
    return os.path.dirname(max(found, key=lambda path: int(path.split("/")[4])))
