# The scripts do the work and need no make; these are their short names.

.PHONY: all initramfs install demo test scenarios faults fuzz fresh size differential bench clean

all:
	./scripts/build

# make initramfs KERNEL=DIR OUT=FILE [CONF=FILE]
# DIR holds lib/modules/RELEASE with modules.dep.
initramfs: all
	@test -n "$(KERNEL)" -a -n "$(OUT)" || { echo 'usage: make initramfs KERNEL=DIR OUT=FILE [CONF=FILE]' >&2; exit 2; }
	bin/mkpreroot build --kernel '$(KERNEL)' --output '$(OUT)' $(if $(CONF),--conf '$(CONF)')

# make install [PREFIX=/usr/local] [DESTDIR=DIR]
install: all
	DESTDIR='$(DESTDIR)' PREFIX='$(or $(PREFIX),/usr/local)' ./scripts/install

demo:
	./scripts/demo

test:
	./scripts/test

# Boots of every kind, and the table of what they show: docs/scenarios.md. make scenarios [ID=E1]: some rows only.
scenarios:
	./scripts/scenarios $(ID)

# The long run of what make test takes a sample of: faults of merges and boots, the table of skips.
faults:
	./scripts/faults

# make fuzz [TIME=10m] [PACKAGE=./internal/gpt]
fuzz:
	./scripts/fuzz $(or $(TIME),1m) $(PACKAGE)

fresh:
	./scripts/fresh

size: all
	./scripts/size

# The rules for /etc against plain shell, 2,000 random roots.
differential:
	PREROOT_UPPERS=$(or $(UPPERS),2000) go test -tags hostroot -count=1 -v -timeout 3h -run 'Differential|NoUserFile' ./internal/etcrules

bench:
	./scripts/bench
	./scripts/bench-verity
	./scripts/bench-merge

clean:
	rm -rf bin
