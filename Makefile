# What one does here; `make` alone lists it.

CARGO ?= cargo
# Relative to this folder, as cargo itself takes it.
TARGET := $(or $(CARGO_TARGET_DIR),target)
MODULE := $(TARGET)/release/libredis_reentrant_lock.so

PORT ?= 6379
SERVER ?= redis-server
PREFIX ?= /usr/local
MODULES = $(PREFIX)/lib/redis/modules

# A snapshot that differs is a failure, and nothing else.
INSTA_UPDATE = no

export CARGO INSTA_UPDATE MODULE PORT SERVER TARGET

.DEFAULT_GOAL := help
.PHONY: help run test test-servers test-clients simulate prove fuzz soak storm storm-asan test-asan bench bench-smoke install build lint clean

help: ## List these targets
	@echo 'make TARGET, where TARGET is one of:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' Makefile

run: ## Start a server with the module in the foreground (PORT=6379, SERVER=redis-server)
	@scripts/run.sh

test: ## Run every test against the installed redis-server (LOCK_TEST_SERVER: another one)
	@SERVER="$${LOCK_TEST_SERVER:-redis-server}" scripts/setup.sh build server
	@scripts/test.sh --workspace

test-servers: ## Run the tests that need a server against each of tests/servers.tsv (ONLY=NAME: just that)
	@SERVER=redis-server scripts/setup.sh build server wheels
	@$(CARGO) test --no-run
	@python3 scripts/servers.py $(ONLY)

test-clients: ## Run the tests of all clients against Redis 7.0, 8.2 and Valkey 9.1 (CLIENTS='rust lockctl python java', ONLY=NAME)
	@SERVER=redis-server scripts/setup.sh build server wheels clients
	@$(CARGO) build
	@ONLY='$(ONLY)' python3 scripts/clients.py $(CLIENTS)

simulate: ## Let the engine run through simulated failovers (SECONDS=60, SEED=, PLANS=NAME,NAME, ONCE=1: that seed only)
	@scripts/setup.sh build
	@$(CARGO) test --profile simulate --package lock-simulator --test simulate -- --seconds '$(or $(SECONDS),60)' \
		$(if $(SEED),--seed '$(SEED)') $(if $(PLANS),--plans '$(PLANS)') $(if $(ONCE),--once)

prove: ## Let everything go wrong on real servers, and check what clients believe (SECONDS=1200, SEED=, FAULTS=A,B, SCENARIOS=A,B, OPERATIONS=, SERVERS='A B')
	@SERVER=redis-server scripts/setup.sh build server wheels
	@$(CARGO) build --release
	@$(CARGO) build --profile simulate --example one_scope
	@program=$$($(CARGO) test --no-run --profile simulate --test prove --message-format=json \
		| sed -nE 's/.*"executable":"([^"]*\/prove-[^"]*)".*/\1/p') && \
		LOCK_TEST_MODULE="$$(realpath '$(MODULE)')" SECONDS='$(or $(SECONDS),1200)' \
		SERVERS='$(or $(SERVERS),redis-7.0 redis-8.2 valkey-9.1)' python3 scripts/prove.py "$$program" \
		$(if $(SEED),--seed '$(SEED)') $(if $(FAULTS),--faults '$(FAULTS)') \
		$(if $(SCENARIOS),--scenarios '$(SCENARIOS)') $(if $(OPERATIONS),--operations '$(OPERATIONS)')

fuzz: ## Give the engine any words, data and events (SECONDS=60, BOLERO_RANDOM_SEED=: one run again)
	@scripts/setup.sh build
	@BOLERO_RANDOM_TEST_TIME_MS=$$(( $(or $(SECONDS),60) * 1000 )) $(CARGO) test --profile simulate --package lock-simulator --test fuzz -- --nocapture

soak: ## Let 500 clients contend for some minutes, and much go wrong (LOCK_TEST_SOAK_SECONDS=180)
	@SERVER="$${LOCK_TEST_SERVER:-redis-server}" scripts/setup.sh build server
	@$(CARGO) build --release
	@LOCK_TEST_MODULE="$$(realpath '$(MODULE)')" LOCK_TEST_SOAK_SECONDS="$${LOCK_TEST_SOAK_SECONDS:-180}" \
		$(CARGO) test --test suite soak:: -- --nocapture

storm: ## Let pauses, failovers, moving slots and mass expiry befall busy servers (LOCK_TEST_STORM_SECONDS=180)
	@SERVER="$${LOCK_TEST_SERVER:-redis-server}" scripts/setup.sh build server
	@LOCK_TEST_STORM_SECONDS="$${LOCK_TEST_STORM_SECONDS:-180}" $(CARGO) test --test suite storm:: -- --nocapture

storm-asan: ## The same and more under AddressSanitizer, on servers built for it (ONLY=NAME, LOCK_TEST_STORM_SECONDS=60)
	@SERVER=redis-server scripts/setup.sh build server sources
	@$(CARGO) test --no-run
	@scripts/asan.sh $(ONLY)

test-asan: ## The whole suite under AddressSanitizer, where lost memory is a failure too (ONLY=redis-8.0)
	@SERVER=redis-server scripts/setup.sh build server sources
	@$(CARGO) test --no-run
	@WHOLE=1 LOCK_TEST_STORM_SECONDS="$${LOCK_TEST_STORM_SECONDS:-10}" scripts/asan.sh $(or $(ONLY),redis-8.0)

bench: ## Compare it with what one would use instead (SYSTEMS=A,B, WORK=A,B, CELLS=A,B, SECONDS=0.5, ROUNDS=9, SERVER=, KEEP=1: a dated copy in docs)
	@SERVER=redis-server scripts/setup.sh build server bench
	@$(CARGO) build --release
	@$(CARGO) build --profile harness --package redis-reentrant-lock-bench
	@'$(TARGET)/harness/lock-bench' --out '$(TARGET)/bench' $(if $(SYSTEMS),--systems '$(SYSTEMS)') \
		$(if $(WORK),--work '$(WORK)') $(if $(CELLS),--cells '$(CELLS)') $(if $(SECONDS),--seconds '$(SECONDS)') $(if $(ROUNDS),--rounds '$(ROUNDS)') \
		$(if $(filter-out redis-server,$(SERVER)),--server '$(SERVER)') $(if $(KEEP),--keep)

bench-smoke: ## The same in short: two works, and systems that need nothing but redis-server
	@SERVER=redis-server scripts/setup.sh build server
	@$(CARGO) build --release
	@$(CARGO) build --profile harness --package redis-reentrant-lock-bench
	@'$(TARGET)/harness/lock-bench' --smoke --out '$(TARGET)/bench-smoke'

install: $(MODULE) ## Put the module under PREFIX (/usr/local) and print the loadmodule line
	@install -d '$(DESTDIR)$(MODULES)'
	@install -m 755 '$(MODULE)' '$(DESTDIR)$(MODULES)'
	@echo 'Add this line to redis.conf or valkey.conf:'
	@echo 'loadmodule $(MODULES)/$(notdir $(MODULE))'

build: ## Build the module in release mode
	@scripts/setup.sh build
	@$(CARGO) build --release
	@echo 'Built $(MODULE)'

# A rule of its own, so that `sudo make install` after `make build` needs no Rust of root's.
$(MODULE): Cargo.toml Cargo.lock $(shell find src -name '*.rs')
	@scripts/setup.sh build
	@$(CARGO) build --release
	@touch '$@'

# The tests have the clients with TLS: without it they are linted once more.
lint: ## Check the format and let clippy deny every warning
	@scripts/setup.sh build
	@if $(CARGO) fmt --version >/dev/null 2>&1; then $(CARGO) fmt --all --check; \
	else echo 'lint: this toolchain has no rustfmt: format not checked'; fi
	@if $(CARGO) clippy --version >/dev/null 2>&1; then $(CARGO) clippy --workspace --all-targets -- -D warnings && \
	$(CARGO) clippy --package redis-reentrant-lock-client --package lockctl -- -D warnings; \
	else echo 'lint: this toolchain has no clippy: nothing linted'; fi

clean: ## Remove everything built or fetched
	@$(CARGO) clean
