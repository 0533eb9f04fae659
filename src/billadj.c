/*
 * billadj.c
 *	  What happens when the library is loaded: settings and callbacks.
 */
#include "postgres.h"

#include <limits.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "audit.h"
#include "binding.h"
#include "charges.h"
#include "detect.h"
#include "detectors.h"
#include "ledger.h"
#include "posture.h"
#include "prices.h"
#include "settings.h"
#include "subperiods.h"
#include "tables.h"
#include "touched.h"

PG_MODULE_MAGIC;

bool		bj_enabled = true;
int			bj_settle_timeout = 0;
int			bj_override_lock_timeout = 5000;

void		_PG_init(void);

/*
 * No setting may change an amount or confer an authority.  The kill switch
 * leaves rows unrated, which rating_gap() shows; only a superuser may turn it.
 */
void
_PG_init(void)
{
	DefineCustomBoolVariable("billadj.enabled",
							 "Rates usage as it is written.",
							 "Off leaves the rows unrated; billadj.rating_gap() lists them.",
							 &bj_enabled, true, PGC_SUSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("billadj.settle_timeout",
							"Longest wait for another commit when totals are settled at commit.",
							"Acts like lock_timeout; 0 leaves lock_timeout as it is.",
							&bj_settle_timeout, 0, 0, INT_MAX, PGC_USERSET,
							GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("billadj.override_lock_timeout",
							"Longest wait for another act on the same override request, authority or person.",
							"Acts like lock_timeout; 0 leaves lock_timeout as it is.",
							&bj_override_lock_timeout, 5000, 0, INT_MAX, PGC_USERSET,
							GUC_UNIT_MS, NULL, NULL, NULL);
	MarkGUCPrefixReserved("billadj");

	bj_tables_init();
	bj_charges_init();
	bj_prices_init();
	bj_subperiods_init();
	bj_binding_init();
	/* at commit in reverse: totals settle, requests are looked at, the log is sealed */
	bj_audit_init();
	bj_touched_init();
	bj_posture_init();
	bj_detectors_init();
	bj_detect_init();
	bj_ledger_init();
}

/* billadj.version() → text */
PG_FUNCTION_INFO_V1(billadj_version);
Datum
billadj_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(BILLADJ_VERSION));
}
