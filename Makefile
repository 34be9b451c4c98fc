# The scripts do the work and need no make; these are their short names.

.PHONY: all initramfs demo test fuzz fresh size bench clean

all:
	./scripts/build

# make initramfs KERNEL=DIR OUT=FILE [CONF=FILE]
# DIR holds lib/modules/RELEASE with modules.dep.
initramfs: all
	@test -n "$(KERNEL)" -a -n "$(OUT)" || { echo 'usage: make initramfs KERNEL=DIR OUT=FILE [CONF=FILE]' >&2; exit 2; }
	bin/mkpreroot build --kernel '$(KERNEL)' --output '$(OUT)' $(if $(CONF),--conf '$(CONF)')

demo:
	./scripts/demo

test:
	./scripts/test

# make fuzz [TIME=10m] [PACKAGE=./internal/gpt]
fuzz:
	./scripts/fuzz $(or $(TIME),1m) $(PACKAGE)

fresh:
	./scripts/fresh

size: all
	./scripts/size

bench:
	./scripts/bench
	./scripts/bench-verity
	./scripts/bench-merge

clean:
	rm -rf bin
