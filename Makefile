EXTENSION = billadj
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" billadj.control)

# ---- what is built ----

MODULE_big = billadj
CORE_SRC = $(sort $(wildcard src/core/*.c))
CORE_OBJS = $(CORE_SRC:.c=.o)
OBJS = $(CORE_OBJS) $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
PG_CPPFLAGS = -Isrc -DBILLADJ_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter \
            -Wno-sign-compare -Wno-declaration-after-statement \
            -Wno-missing-field-initializers
# Scores are doubles that must be the same bits on every machine.
src/core/%.o: CFLAGS += -ffp-contract=off
src/core/%.bc: BITCODE_CFLAGS += -ffp-contract=off

# The install script (functions only), in the order in which its parts depend on
# each other; tables/*.sql become the texts of billadj.migration_step().
SQL_PARTS = header money rate aggregate prorate anomaly catalogue install audit policy override attach usage backfill shadow explain subscription revenue detect verdict
SQL_STEPS = $(sort $(wildcard src/sql/tables/*.sql))
DATA_built = billadj--$(EXTVERSION).sql
DATA = $(wildcard src/sql/update/billadj--*--*.sql)

# ---- how it is proven ----

REGRESS = install policy numeric money rate aggregate prorate explain anomaly catalogue attach usage default_usage totals parked correct backfill usage_period \
          partitions shadow monitor \
          subscription detect detect_review \
          override audit review \
          uninstall
REGRESS_OPTS = --load-extension=btree_gist
# fixture makes what the others build on, so it runs first.
ISOLATION = fixture $(filter-out fixture,$(sort $(basename $(notdir $(wildcard test/isolation/specs/*.spec)))))
ISOLATION_OPTS = --inputdir=test/isolation --outputdir=test/isolation
TAP_TESTS = 1
PROVE_TESTS = $(sort $(wildcard test/t/*.pl))
UNIT_TESTS = $(patsubst %.c,%,$(sort $(wildcard test/unit/test_*.c)))
FUZZ_TESTS = $(patsubst %.c,%,$(sort $(wildcard test/fuzz/fuzz_*.c)))
EXTRA_CLEAN = $(DATA_built) $(UNIT_TESTS) $(FUZZ_TESTS) test/isolation/output_iso

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

billadj--$(EXTVERSION).sql: $(SQL_PARTS:%=src/sql/%.sql) $(SQL_STEPS) src/sql/steps.sh
	cat $(SQL_PARTS:%=src/sql/%.sql) > $@.tmp
	sh src/sql/steps.sh $(SQL_STEPS) >> $@.tmp
	mv $@.tmp $@

# PGXS does not track headers.
$(OBJS): $(wildcard src/*.h src/core/*.h)

# The core is compiled here without any PostgreSQL include path: a server
# header in src/core does not compile.
CORE_CFLAGS = -std=c11 -ffp-contract=off -g -O1 -Isrc -Wall -Wextra -Wshadow -Werror \
              -fsanitize=address,undefined -fno-sanitize-recover=all

test/unit/test_%: test/unit/test_%.c $(CORE_SRC) $(wildcard src/core/*.h test/unit/*.h)
	$(CC) $(CORE_CFLAGS) -Itest/unit $(filter %.c,$^) -lm -o $@

test/fuzz/fuzz_%: test/fuzz/fuzz_%.c $(CORE_SRC) $(wildcard src/core/*.h test/fuzz/*.h)
	clang $(CORE_CFLAGS) -fsanitize=fuzzer -Itest/fuzz $(filter %.c,$^) -o $@

FUZZ_SECONDS = 5
.PHONY: unit fuzz pgtap tidy
unit: $(UNIT_TESTS)
	prove -e '' $(UNIT_TESTS)

fuzz: $(FUZZ_TESTS)
	for f in $(FUZZ_TESTS); do \
		$$f -seed=1 -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 || exit 1; \
	done

pgtap:
	pg_prove --dbname contrib_regression test/pgtap/*.sql

tidy:
	test/tidy.sh
