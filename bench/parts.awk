# parts.awk: from callgrind_annotate --inclusive=yes of a small and a large run
# (in this order, variables rows and name) to lines "part NAME FUNCTION
# INSTRUCTIONS-A-ROW"
#
# A function whose code was inlined from several files stands on several lines,
# each with the whole of it or a share: the largest is the whole.

FNR == 1 { run++ }
/^ *[0-9][0-9,]* *\( *[0-9.]*%\)  [^ ]*:[A-Za-z_]+( \[|$)/ {
	n = $1
	gsub(/,/, "", n)
	function_name = $0
	sub(/^[^)]*\)  /, "", function_name)
	sub(/ \[.*/, "", function_name)
	# the others of this name settle no totals
	if (function_name ~ /:xact_callback$/ && function_name !~ /ledger\.c/)
		next
	sub(/.*:/, "", function_name)
	if (n + 0 > most[run, function_name])
		most[run, function_name] = n + 0
}
END {
	count = split("billadj_usage_insert_trigger xact_callback bj_usagerow_read bj_tiertotals_find bj_rate_between bj_rate_at bj_charges_add bj_charges_close bj_tiertotals_update heap_insert heap_update " \
		"bj_detect_note bj_detect_settle bj_detect_order bj_detect_absorb bj_detect_hold bj_detect_beside bj_baselines_open_buckets bj_baselines_find_bucket bj_baselines_write_bucket bj_stream_absorb " \
		"bj_baselines_find bj_baselines_write bj_incidents_row bj_baselines_can_find bj_anomalies_open ShutdownXLOG", wanted, " ")
	for (i = 1; i <= count; i++)
		printf "part %s %s %d\n", name, wanted[i], (most[2, wanted[i]] - most[1, wanted[i]]) / rows
}
