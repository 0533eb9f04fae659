/*
 * fuzz_sum.c
 *	  Sums as bytes: any bytes are judged, and adding is bj_decimal_add().
 */
#include "core/sum.h"
#include "bytes.h"

static void
check_bytes(const uint8_t *data, size_t size)
{
	uint8_t		copy[BJ_SUM_SIZE];
	Decimal		sum;

	for (SumKind kind = BJ_SUM_PLAIN; kind <= BJ_SUM_PRICED; kind++)
	{
		if (!bj_sum_get(data, size, kind, &sum))
			continue;
		must(size >= BJ_SUM_SIZE && data[1] == kind);
		must(sum.scale >= BJ_MIN_SCALE && sum.scale <= BJ_MAX_SCALE);
		must(sum.coefficient <= BJ_DECIMAL_MAX &&
			 sum.coefficient >= -BJ_DECIMAL_MAX);
		bj_sum_put(copy, kind, sum);
		must(memcmp(copy, data, BJ_SUM_SIZE) == 0);
	}
}

static void
check_add(Bytes *bytes)
{
	uint8_t		copy[BJ_SUM_SIZE];
	Decimal		a = take_decimal(bytes);
	Decimal		b = take_decimal(bytes);
	Decimal		wanted;
	Decimal		found;
	BjStatus	status = bj_decimal_add(a, b, &wanted);

	bj_sum_put(copy, BJ_SUM_PLAIN, a);
	must(bj_sum_get(copy, sizeof(copy), BJ_SUM_PLAIN, &found));
	must(bj_decimal_compare(found, a) == 0);
	must(bj_sum_add(&found, b) == status);
	must(bj_decimal_compare(found, status == BJ_OK ? wanted : a) == 0);
	bj_sum_put(copy, BJ_SUM_PLAIN, found);
	must(bj_sum_get(copy, sizeof(copy), BJ_SUM_PLAIN, &found));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes		bytes = bytes_of(data, size);

	check_bytes(data, size);
	check_add(&bytes);
	return 0;
}
