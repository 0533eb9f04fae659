# report.awk: from the lines of bench/run to the page
#
# instr CASE HOST INSTRUCTIONS-A-ROW; part CASE FUNCTION INSTRUCTIONS-A-ROW
# time CASE HOST ROUND CPU-µs WALL-µs WAL-BYTES DISK-BYTES, in the order measured
# tps CLIENTS KEYS SLEEP HOST TPS; hot UPDATES HOT; aggregate NAME CPU-µs
# long HOST FIRST-ROW|commit CPU-µs
# machine TEXT; version TEXT; seconds N

function sorted(list, n,    i, j, x)
{
	for (i = 2; i <= n; i++) {
		x = list[i]
		for (j = i - 1; j >= 1 && list[j] > x; j--)
			list[j + 1] = list[j]
		list[j + 1] = x
	}
}

function ratio(a, b) { return b > 0 ? sprintf("%.2f", a / b) : "–" }
function thousands(x) { return sprintf("%.1f k", x / 1000) }

# median and range of a contender's ratio to the plain run beside it
function spread(key,    n, list, i)
{
	n = pairs[key]
	if (n == 0)
		return "–"
	for (i = 1; i <= n; i++)
		list[i] = pair[key, i]
	sorted(list, n)
	return sprintf("%.2f (%.2f–%.2f)", n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2, list[1], list[n])
}

function verdict(name, value, limit, most)
{
	printf "| %s | %s%s | %s | %s |\n", name, most ? "≤ " : "≥ ", most ? sprintf("%.2f", limit) : limit, value,
		value == "–" ? "not measured" : (most ? value + 0 <= limit : value + 0 >= limit) ? "yes" : "**no**"
}

function instr_ratio(c, host, plain)
{
	return (c, host) in instr ? ratio(instr[c, host], instr[c, plain == "" ? "plain" : plain]) : "–"
}

# What tiered adds to the checkpoint that a single-user backend ends with.
function checkpoint(c)
{
	return part[c, "ShutdownXLOG"] - part[c ".plain", "ShutdownXLOG"]
}

# One line of the profile: a number for each case.
function profile_line(title, kind,    i, c, n)
{
	printf "| %s |", title
	for (i = 1; i <= ncases; i++) {
		c = cases[i]
		if (!((c, "billadj_usage_insert_trigger") in part))
			continue
		own = part[c, "billadj_usage_insert_trigger"] + part[c, "xact_callback"]
		added = instr[c, "tiered"] - instr[c, "plain"]
		known = part[c, "bj_usagerow_read"] + part[c, "bj_tiertotals_find"] + part[c, "bj_rate_between"] + part[c, "bj_charges_add"] + part[c, "bj_charges_close"]
		n = kind == "added" ? added : kind == "server" ? added - own - checkpoint(c) : kind == "checkpoint" ? checkpoint(c) : kind == "statement" ? part[c, "billadj_usage_insert_trigger"] - known : \
			kind == "commit" ? part[c, "xact_callback"] - part[c, "bj_tiertotals_update"] - part[c, "bj_rate_at"] : \
			kind == "rate" ? part[c, "bj_rate_between"] + part[c, "bj_rate_at"] : part[c, kind]
		printf " %s |", thousands(n)
	}
	print ""
}

function profile(    i, c, floor)
{
	print ""
	print "## Where a target is out of reach: the profile that says why"
	print ""
	print "What is added to the plain table by a tiered price, in instructions a row, by the part that spends it."
	print ""
	printf "| part |"
	for (i = 1; i <= ncases; i++)
		if ((cases[i], "billadj_usage_insert_trigger") in part)
			printf " %s |", title[cases[i]]
	print ""
	printf "|---|"
	for (i = 1; i <= ncases; i++)
		if ((cases[i], "billadj_usage_insert_trigger") in part)
			printf "---|"
	print ""
	profile_line("the server: statement trigger, transition table, locks", "server")
	profile_line("writing the pages of the totals as the single-user backend ends (elsewhere the checkpointer does that)", "checkpoint")
	profile_line("begin and end of the trigger, its tables opened, price and key looked up", "statement")
	profile_line("reading the rows", "bj_usagerow_read")
	profile_line("finding and reading the total at first touch", "bj_tiertotals_find")
	profile_line("rating, in the statement and at commit", "rate")
	profile_line("forming the charges; writing full batches", "bj_charges_add")
	profile_line("writing the last batch", "bj_charges_close")
	profile_line("writing the total at commit", "bj_tiertotals_update")
	profile_line("settling otherwise: sorting, opening", "commit")
	profile_line("**all**", "added")
	c = "transaction"
	if (!((c, "billadj_usage_insert_trigger") in part))
		return
	added = instr[c, "tiered"] - instr[c, "plain"]
	floor = added - checkpoint(c) - part[c, "billadj_usage_insert_trigger"] - part[c, "xact_callback"] + part[c, "bj_tiertotals_find"] + part[c, "bj_charges_close"] + part[c, "bj_tiertotals_update"]
	if (instr[c, "tiered"] / instr[c, "plain"] <= 1.30)
		return
	print ""
	printf "*1,000 single rows in a transaction* are allowed %s. Nearly every row here has a key of its own, so that it pays alone for what the bulk cases share: ", thousands(instr[c, "plain"] * 0.30)
	printf "the server's part of a trigger that sees its rows, finding one total, one `heap_insert` of a charge and one `heap_update` of the total come to %s, before a row is read or rated. ", thousands(floor)
	printf "Without the pages that are written as the backend ends it would be %s. ", ratio(instr[c, "tiered"] - checkpoint(c), instr[c, "plain"])
	print "What would go lower is not done on purpose: charges kept in memory until the commit could not be seen by the transaction that wrote them, and tables kept open from statement to statement would fail its ALTER TABLE."
}

# Why a partitioned host costs more than a plain one.
function profile_parts(    added, more, key)
{
	if (!(("copy.parts_tiered", "billadj_usage_insert_trigger") in part))
		return
	added = instr["copy", "parts_tiered"] - instr["copy", "parts_plain"]
	more = added - (instr["copy", "tiered"] - instr["copy", "plain"])
	key = part["copy.parts_tiered", "bj_usagerow_read"] - part["copy", "bj_usagerow_read"]
	print ""
	printf "*COPY into a partitioned host* adds %s a row, %s more than COPY into a plain one. ", thousands(added), thousands(more)
	printf "Its event key has two columns, id and time, whose spelling as JSON costs %s of it; the rest is the server's: ", thousands(key)
	print "COPY inserts no batches into a partitioned table whose statement triggers see its rows (CopyFrom() takes them one by one), each with a WAL record of its own."
}

# What detection adds, without what it adds to the checkpoint at the end.
function detection_adds(c, host)
{
	if (host == "watched_linear")
		return instr[c, host] - instr[c, "linear"] - (part[c "." host, "ShutdownXLOG"] - part[c ".linear", "ShutdownXLOG"])
	return instr[c, host] - instr[c, "tiered"] - (part[c "." host, "ShutdownXLOG"] - part[c, "ShutdownXLOG"])
}

function detection_ratio(c, host)
{
	return (c, host) in instr ? ratio(detection_adds(c, host), instr[c, "plain"]) : "–"
}

function bytes_of(c, host) { return rows_wal[c, host] / runs[c, host] / rows[c] }

function detection_line(title, kind,    i, c, n, all)
{
	printf "| %s |", title
	for (i = 1; i <= ndetected; i++) {
		c = detected[i] ".watched"
		whole = part[c, "bj_detect_settle"] + part[c, "bj_detect_hold"] + part[c, "bj_detect_beside"]
		n = kind == "added" ? detection_adds(detected[i], "watched") : kind == "checkpoint" ? part[c, "ShutdownXLOG"] - part[detected[i], "ShutdownXLOG"] : kind == "whole" ? whole : \
			kind == "total" ? part[c, "bj_tiertotals_find"] + part[c, "bj_tiertotals_update"] - part[detected[i], "bj_tiertotals_find"] - part[detected[i], "bj_tiertotals_update"] : \
			kind == "rest" ? detection_adds(detected[i], "watched") - whole - part[c, "bj_detect_note"] - part[c, "bj_detect_order"] - part[c, "bj_detect_absorb"] - \
			(part[c, "bj_tiertotals_find"] + part[c, "bj_tiertotals_update"] - part[detected[i], "bj_tiertotals_find"] - part[detected[i], "bj_tiertotals_update"]) : part[c, kind]
		printf " %s |", thousands(n)
	}
	print ""
}

function detection(    i, c)
{
	print ""
	print "## Anomaly detection"
	print ""
	print "The tiered host with detection on, against the same without. Streams are known for six weeks. *Dense*: a stream has a row every three minutes, as they please; it is judged by the hour, one row in twenty ends an hour, and the others change only its open hour, which stands beside the total. *Hourly*: a row at each full hour; each is judged by itself, and the wide row in `billadj.baseline` changes with each. In brackets: added, times the plain table, without the pages that the single-user backend writes as it ends, which elsewhere the checkpointer does."
	print ""
	print "| case | plain | without | dense | dense, linear price | hourly | WAL: plain | without | dense |"
	print "|---|---|---|---|---|---|---|---|---|"
	for (i = 1; i <= ndetected; i++) {
		c = detected[i]
		printf "| %s | %s | %s | + %s (%s) | ", title[c], thousands(instr[c, "plain"]), thousands(instr[c, "tiered"]), thousands(detection_adds(c, "watched")), detection_ratio(c, "watched")
		if ((c, "watched_linear") in instr)
			printf "+ %s (%s) | ", thousands(detection_adds(c, "watched_linear")), detection_ratio(c, "watched_linear")
		else
			printf "– | "
		if ((c, "hourly") in instr)
			printf "+ %s (%s) | ", thousands(detection_adds(c, "hourly")), detection_ratio(c, "hourly")
		else
			printf "– | "
		if ((c, "watched") in best)
			printf "%d | %d | %d (%s) |\n", bytes_of(c, "plain"), bytes_of(c, "tiered"), bytes_of(c, "watched"), ratio(bytes_of(c, "watched"), bytes_of(c, "plain"))
		else
			printf "– | – | – |\n"
	}
	print ""
	print "| what | target | found | met |"
	print "|---|---|---|---|"
	for (i = 1; i <= ndetected; i++)
		verdict(title[detected[i]] ", dense: added, times the plain table", detection_ratio(detected[i], "watched"), detected[i] == "few" ? 0.06 : 0.12, 1)
	verdict("single row, own commit, dense: WAL, times the plain table", ("single", "watched") in best ? ratio(bytes_of("single", "watched"), bytes_of("single", "plain")) : "–", 2.50, 1)
	print ""
	print "What it spends, dense, in instructions a row:"
	print ""
	printf "| part |"
	for (i = 1; i <= ndetected; i++)
		printf " %s |", title[detected[i]]
	print ""
	printf "|---|"
	for (i = 1; i <= ndetected; i++)
		printf "---|"
	print ""
	detection_line("noting the rows in the statement", "bj_detect_note")
	detection_line("sorting them at commit", "bj_detect_order")
	detection_line("the open hour read and learned; where it ends, the wide row read, judged, learned", "bj_detect_absorb")
	detection_line("reading and writing the total, which is wider for it", "total")
	detection_line("where an hour ends: the wide row written; where there is something to be said, all of that", "whole")
	detection_line("the server and the rest: locks, memory, WAL flushed", "rest")
	detection_line("**all**", "added")
	detection_line("not in it: pages written as the single-user backend ends", "checkpoint")
	print ""
	print "The open hour of a stream stands in the row of its total, which is found and written anyway; only where an hour ends, one row in twenty here, the wide row is. Under a linear price, which has no total, the open hour has a row of its own in `billadj.open_bucket`, to be found and written: *dense, linear price* is added to the linear host."
	if (states > 0)
		printf "\nUpdates of states: %d, of which %d were HOT.\n", states, hot_states
}

# how much less is added than by the other
function less_added(c, host, other)
{
	if (!((c, host) in instr) || !((c, other) in instr))
		return "–"
	return ratio(instr[c, other] - instr[c, "plain"], instr[c, host] - instr[c, "plain"])
}

$1 == "instr" { instr[$2, $3] = $4 }
$1 == "time" {
	c = $2; host = $3
	if ($4 ~ /0$/)
		next
	rows_wal[c, host] += $7; rows_disk[c, host] += $8; runs[c, host]++
	if (best[c, host] == "" || $5 < best[c, host])
		best[c, host] = $5
	# A B B A: two pairs, each of a plain run and its neighbour
	place = ++seen[c, $4]
	if (place > 4)
		place = seen[c, $4] = 1
	cpu[place] = $5; wall[place] = $6; who[place] = host
	if (place == 2 || place == 4) {
		b = place == 2 ? 2 : 3; a = place == 2 ? 1 : 4
		key = c SUBSEP who[b] SUBSEP "cpu"; pair[key, ++pairs[key]] = cpu[b] / cpu[a]
		key = c SUBSEP who[b] SUBSEP "wall"; pair[key, ++pairs[key]] = wall[b] / wall[a]
	}
}
$1 == "part" { part[$2, $3] = $4; has_parts = 1 }
$1 == "tps" { tps[$2, $3, $4, $5] = $6 }
$1 == "long" { long_cpu[$2, $3] = $4 }
$1 == "hot" { updates += $2; hot += $3 }
$1 == "hot_states" { states = $2; hot_states = $3 }
$1 == "aggregate" { if (aggregate[$2] == "" || $3 < aggregate[$2]) aggregate[$2] = $3 }
$1 == "machine" || $1 == "version" { text[$1] = substr($0, length($1) + 2) }
$1 == "seconds" { seconds = $2 }
$1 == "rows" { rows[$2] = $3 }

END {
	title["copy"] = "COPY, 0.33 keys a row"; title["thousand"] = "INSERT … VALUES of 1,000 rows, 0.7 keys a row"
	title["few"] = "INSERT … VALUES of 1,000 rows, 50 keys"; title["hundred"] = "INSERT … VALUES of 100 rows, 0.92 keys a row"
	title["single"] = "single row, own commit"; title["transaction"] = "1,000 single rows in a transaction"
	ncases = split("copy thousand few hundred single transaction", cases, " ")
	nhosts = split("tiered linear set_based by_row", hosts, " ")
	for (i = 1; i <= ncases; i++)
		if ((cases[i], "watched") in instr)
			detected[++ndetected] = cases[i]

	print "# What a usage row costs"
	print ""
	print "Written by `bench/run`" (quick ? " --quick" : "") "; " seconds " s."
	print ""
	print "* Machine: " text["machine"] "."
	print "* Versions: " text["version"] "; `-O2`, no LLVM."
	print "* Host table: bigint identity primary key, unique text event key of 36 to 50 characters, account, meter, quantity (two decimals), time. The charge table of the open month has no index; the total has its primary key and fillfactor 10. Anomaly detection is off, unless it is said."
	print "* Rows: keys are drawn from 10,000 accounts × 5 meters, all of which have a total already; how many keys a row is said with each case, and the rows beyond that repeat the statement's keys, some much more often than others. One period."
	print "* Prices: *tiered* is graduated with three tiers, *linear* is per unit. `set_based` is one PL/pgSQL statement trigger, `by_row` a PL/pgSQL row trigger, both tiered: a charge row for each usage row and a total for each key, by INSERT … ON CONFLICT DO UPDATE, into tables of the same columns, partitions and indexes."
	print "* Server: fsync, full_page_writes, autovacuum and jit off, one backend on its own unless sessions are named. Every 1,000- and 100-row statement commits by itself. A WARNING or ERROR in the server's log fails the run."
	print ""
	print "Elsewhere: [what an override costs](OVERRIDES.md), [the audit log](AUDIT.md), [subscriptions](SUBSCRIPTIONS.md)."
	print ""
	print "## Instructions a row"
	print ""
	print "Single-user backend under callgrind, slope of two sizes; repeats to three digits. Statements of one row are PREPAREd, those of many are parsed each time. In brackets: times the plain table."
	print ""
	print "| case | plain | tiered | linear | PL/pgSQL set-based | PL/pgSQL by row |"
	print "|---|---|---|---|---|---|"
	for (i = 1; i <= ncases; i++) {
		c = cases[i]
		if (!((c, "plain") in instr))
			continue
		printf "| %s | %s |", title[c], thousands(instr[c, "plain"])
		for (j = 1; j <= nhosts; j++)
			if ((c, hosts[j]) in instr)
				printf " %s (%s) |", thousands(instr[c, hosts[j]]), instr_ratio(c, hosts[j])
			else
				printf " – |"
		print ""
	}
	if (("copy", "parts_plain") in instr)
		printf "| COPY into a partitioned host, 0.33 keys a row | %s | %s (%s) | | | |\n", thousands(instr["copy", "parts_plain"]),
			thousands(instr["copy", "parts_tiered"]), instr_ratio("copy", "parts_tiered", "parts_plain")
	print ""
	print "Added to the plain table, set-based PL/pgSQL against ours (tiered):"
	print ""
	for (i = 1; i <= ncases; i++)
		if (less_added(cases[i], "tiered", "set_based") != "–")
			printf "* %s: %s against %s, %s times less\n", title[cases[i]],
				thousands(instr[cases[i], "set_based"] - instr[cases[i], "plain"]), thousands(instr[cases[i], "tiered"] - instr[cases[i], "plain"]),
				less_added(cases[i], "tiered", "set_based")
	print ""
	print "## Targets"
	print ""
	print "Ratios of instructions, and processor time for the aggregates."
	print ""
	print "| what | target | found | met |"
	print "|---|---|---|---|"
	verdict("COPY, 0.33 keys a row, tiered", instr_ratio("copy", "tiered"), 1.40, 1)
	verdict(title["thousand"] ", tiered", instr_ratio("thousand", "tiered"), 1.50, 1)
	verdict(title["few"] ", tiered", instr_ratio("few", "tiered"), 1.20, 1)
	verdict("single row, own commit, tiered", instr_ratio("single", "tiered"), 1.45, 1)
	verdict("1,000 single rows in a transaction, tiered", instr_ratio("transaction", "tiered"), 1.30, 1)
	for (i = 1; i <= ncases; i++)
		verdict(title[cases[i]] ", linear", instr_ratio(cases[i], "linear"), 1.20, 1)
	for (i = 1; i <= ncases; i++)
		verdict(title[cases[i]] ": times less added than set-based PL/pgSQL", less_added(cases[i], "tiered", "set_based"), 5, 0)
	verdict("HOT share of updates of totals, in percent", updates > 0 ? int(1000 * hot / updates) / 10 : "–", 100, 0)
	verdict("`rated_sum`, linear price, times `sum(numeric)`", ratio(aggregate["rated_sum_linear"], aggregate["sum"]), 0.90, 1)
	verdict("`rated_sum`, five tiers, times `sum(numeric)`", ratio(aggregate["rated_sum_tiers"], aggregate["sum"]), 1.00, 1)
	if (has_parts) {
		profile()
		profile_parts()
	}
	if (("copy", "watched") in instr)
		detection()
	print ""
	print "## Processor and wall time"
	print ""
	print "Times the plain table, within pairs run as A B B A in one session: median (range). Processor time is that of the backend. What instructions do not see is here: cache misses, the kernel, WAL."
	print ""
	print "| case | tiered: processor | tiered: wall | linear: processor | set-based: processor | by row: processor |"
	print "|---|---|---|---|---|---|"
	for (i = 1; i <= ncases; i++) {
		c = cases[i]
		if (!((c, "plain") in best))
			continue
		printf "| %s | %s | %s | %s | %s | %s |\n", title[c], spread(c SUBSEP "tiered" SUBSEP "cpu"), spread(c SUBSEP "tiered" SUBSEP "wall"),
			spread(c SUBSEP "linear" SUBSEP "cpu"), spread(c SUBSEP "set_based" SUBSEP "cpu"), spread(c SUBSEP "by_row" SUBSEP "cpu")
	}
	if (("copy", "parts_plain") in best)
		printf "| COPY into a partitioned host | %s | %s | | | |\n", spread("copy" SUBSEP "parts_tiered" SUBSEP "cpu"), spread("copy" SUBSEP "parts_tiered" SUBSEP "wall")
	print ""
	print "## WAL and disk, bytes a usage row"
	print ""
	print "Without full-page images. Disk: host, charges and totals with their indexes, as they grew; totals are updated in place, so that most of them do not grow."
	print ""
	print "| case | plain | tiered | linear | set-based | by row |"
	print "|---|---|---|---|---|---|"
	for (i = 1; i <= ncases; i++) {
		c = cases[i]
		if (!((c, "plain") in best))
			continue
		printf "| %s |", title[c]
		for (j = 0; j <= nhosts; j++) {
			host = j ? hosts[j] : "plain"
			if ((c, host) in best)
				printf " %d / %d |", rows_wal[c, host] / runs[c, host] / rows[c], rows_disk[c, host] / runs[c, host] / rows[c]
			else
				printf " – |"
		}
		print ""
	}
	print ""
	printf "Updates of totals: %d, of which %d were HOT.\n", updates, hot
	print ""
	print "## One long transaction"
	print ""
	print "100,000 single-row INSERTs of one transaction, 1,000 keys, detection off: microseconds of processor time a row, by stretch. The first stretch has the first touch of each key; the commit writes each total once."
	print ""
	print "| rows | plain | tiered |"
	print "|---|---|---|"
	stretches = split("1 1001 10001 50001 100001", stretch, " ")
	for (i = 1; i < stretches; i++)
		printf "| %d to %d | %.1f | %.1f |\n", stretch[i], stretch[i + 1] - 1,
			long_cpu["plain", stretch[i]] / (stretch[i + 1] - stretch[i]), long_cpu["tiered", stretch[i]] / (stretch[i + 1] - stretch[i])
	printf "| the commit, all of it | %d | %d |\n", long_cpu["plain", "commit"], long_cpu["tiered", "commit"]
	print ""
	print "## Sessions"
	print ""
	print "Transactions a second of one single-row INSERT, pgbench; *5 ms*: that much client time between INSERT and COMMIT. `set_based` locks the total in the statement."
	print ""
	print "| sessions | keys | client time | plain | tiered | linear | set-based | tiered / set-based |"
	print "|---|---|---|---|---|---|---|---|"
	for (s = 1; s <= 4; s *= 2)
		for (k = 1; k <= 2; k++)
			for (w = 0; w <= 5; w += 5) {
				name = k == 1 ? "hot" : "thousand"
				if (!((s, name, w, "plain") in tps))
					continue
				printf "| %d | %s | %s | %d | %d | %d | %d | %s |\n", s, k == 1 ? "one" : "1,000", w ? w " ms" : "none", tps[s, name, w, "plain"],
					tps[s, name, w, "tiered"], tps[s, name, w, "linear"], tps[s, name, w, "set_based"],
					ratio(tps[s, name, w, "tiered"], tps[s, name, w, "set_based"])
			}
	print ""
	print "## Aggregates"
	print ""
	print "GROUP BY of 10,000 keys, serial, processor time of the backend, best of eight in turn."
	print ""
	print "| | ms | times `sum(numeric)` |"
	print "|---|---|---|"
	nagg = split("count sum exact_sum rated_sum_linear rated_sum_tiers rate_of_sum", names, " ")
	title["count"] = "`count(*)`"; title["sum"] = "`sum(quantity)`"; title["exact_sum"] = "`exact_sum(quantity)`"
	title["rated_sum_linear"] = "`rated_sum`, linear price"; title["rated_sum_tiers"] = "`rated_sum`, five tiers"
	title["rate_of_sum"] = "`rate(…, sum(quantity))`, five tiers"
	for (i = 1; i <= nagg; i++)
		printf "| %s | %d | %s |\n", title[names[i]], aggregate[names[i]] / 1000, ratio(aggregate[names[i]], aggregate["sum"])
}
