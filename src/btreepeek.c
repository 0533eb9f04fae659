/*
 * btreepeek.c
 *	  Where a btree index has a key, read off its pages.
 *
 * An index scan finds one key for 16 thousand instructions, most of them for
 * being ready for any operator, any type and any direction.  The key of totals
 * is always the same: two texts that are compared as bytes and two bigints.
 * Reading the pages for just that takes 5 thousand where there are three levels.
 *
 * The layout of the pages is that of btree version 4, the same from PostgreSQL
 * 13 on; another version is left alone.  As in nbtree, a page is read under a
 * share lock and none is held while going down: a page that was split
 * meanwhile is followed to its right.  Nothing rests on the answer.
 *
 * Locked and unlocked is by nbtree's own functions: in a server that is built
 * for valgrind they say which pages may be read.  An index-only scan that is
 * open around us keeps its leaf pinned and closed in this sense; LockBuffer()
 * alone would not open it.
 */
#include "postgres.h"

#include "access/itup.h"
#include "access/nbtree.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "pgstat.h"
#include "port/pg_bswap.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "btreepeek.h"
#include "compat.h"

/* Levels and steps to the right, before the look is given up. */
#define MAX_STEPS 32

#define NTEXTS 2

bool
bj_btreepeek_usable(Relation index, int nnumbers)
{
	Form_pg_index form = index->rd_index;
	TupleDesc	desc = RelationGetDescr(index);
	int			nkeys = NTEXTS + nnumbers;

	if (index->rd_rel->relam != BTREE_AM_OID || form->indnatts != nkeys ||
		form->indnkeyatts != nkeys)
		return false;
	for (int i = 0; i < nkeys; i++)
	{
		Oid			type = TupleDescAttr(desc, i)->atttypid;

		if (index->rd_indoption[i] != 0 ||
			(i < NTEXTS ? type != TEXTOID || index->rd_indcollation[i] != C_COLLATION_OID :
			 type != INT8OID && type != TIMESTAMPTZOID))
			return false;
	}
	return true;
}

/* What a look at one page comes to. */
typedef enum Verdict
{
	GO_DOWN,					/* to *next, one level lower */
	GO_RIGHT,					/* to *next: the page was split, or is gone */
	FOUND,
	NOT_HERE
} Verdict;

/*
 * Compares the text of the key with the one at *data, which moves on behind
 * it.  An entry that is compressed is said to differ.
 */
static int
compare_text(KeyText key, const char **data)
{
	const char *text = *data;
	int			length;
	int			cmp;

	if (likely(VARATT_IS_1B(text) && !VARATT_IS_1B_E(text)))
	{
		length = VARSIZE_1B(text) - VARHDRSZ_SHORT;
		text += VARHDRSZ_SHORT;
	}
	else
	{
		text = (const char *) INTALIGN(text);
		if (!VARATT_IS_4B_U(text))
			return -1;
		length = VARSIZE_4B(text) - VARHDRSZ;
		text += VARHDRSZ;
	}
	*data = text + length;
	if (key.length >= (int) sizeof(uint64) && length >= (int) sizeof(uint64))
	{
		uint64		a;
		uint64		b;

		/* decides nearly always, and quicker than a call */
		memcpy(&a, key.data, sizeof(a));
		memcpy(&b, text, sizeof(b));
		if (a != b)
			return pg_ntoh64(a) < pg_ntoh64(b) ? -1 : 1;
	}
	cmp = memcmp(key.data, text, Min(key.length, length));
	return cmp != 0 ? cmp : key.length - length;
}

/*
 * The key against an entry of which natts columns are there: those that were
 * cut off count as lower than anything, see _bt_compare().
 */
static int
compare(const PeekKey *key, IndexTuple tuple, int natts)
{
	const char *data = (const char *) tuple + IndexInfoFindDataOffset(tuple->t_info);

	for (int i = 0; i < natts; i++)
	{
		if (i < NTEXTS)
		{
			int			cmp = compare_text(key->texts[i], &data);

			if (cmp != 0)
				return cmp;
		}
		else
		{
			int64		number;

			data = (const char *) MAXALIGN(data);
			number = *(const int64 *) data;
			data += sizeof(int64);
			if (key->numbers[i - NTEXTS] != number)
				return key->numbers[i - NTEXTS] < number ? -1 : 1;
		}
	}
	return natts < NTEXTS + key->nnumbers ? 1 : 0;
}

static int
compare_item(Relation index, const PeekKey *key, Page page, OffsetNumber offset)
{
	IndexTuple	tuple = (IndexTuple) PageGetItem(page, PageGetItemId(page, offset));
	int			natts = BTreeTupleGetNAtts(tuple, index);
	int			cmp = compare(key, tuple, natts);

	/* a whole key without its tie breaker is lower than any entry of the key */
	if (cmp == 0 && BTreeTupleIsPivot(tuple) && BTreeTupleGetHeapTID(tuple) == NULL)
		return 1;
	return cmp;
}

/* The first item that is not below the key; one beyond the last if all are. */
static OffsetNumber
search_page(Relation index, const PeekKey *key, Page page)
{
	BTPageOpaque opaque = BTPageGetOpaque(page);
	OffsetNumber low = P_FIRSTDATAKEY(opaque);
	OffsetNumber high = PageGetMaxOffsetNumber(page) + 1;

	/* the first item of an inner page is below any key, whatever it says */
	if (!P_ISLEAF(opaque) && low < high)
		low++;
	while (low < high)
	{
		OffsetNumber middle = low + (high - low) / 2;

		if (compare_item(index, key, page, middle) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The entry of a leaf, if it is one of the key. */
static Verdict
look_at_leaf(Relation index, const PeekKey *key, Page page, ItemPointer tid)
{
	OffsetNumber last = PageGetMaxOffsetNumber(page);

	for (OffsetNumber i = search_page(index, key, page); i <= last; i++)
	{
		ItemId		item = PageGetItemId(page, i);
		IndexTuple	tuple = (IndexTuple) PageGetItem(page, item);

		if (compare_item(index, key, page, i) != 0)
			return NOT_HERE;
		if (ItemIdIsDead(item))
			continue;
		*tid = *BTreeTupleGetHeapTID(tuple);
		return FOUND;
	}
	return NOT_HERE;
}

static Verdict
look_at_page(Relation index, const PeekKey *key, Page page, uint32 level,
			 BlockNumber *next, ItemPointer tid)
{
	BTPageOpaque opaque = BTPageGetOpaque(page);
	OffsetNumber child;

	if (!P_RIGHTMOST(opaque) &&
		(P_IGNORE(opaque) || compare_item(index, key, page, P_HIKEY) > 0))
	{
		*next = opaque->btpo_next;
		return GO_RIGHT;
	}
	if (P_IGNORE(opaque) || opaque->btpo_level != level)
		return NOT_HERE;
	if (P_ISLEAF(opaque))
		return look_at_leaf(index, key, page, tid);
	child = search_page(index, key, page) - 1;
	if (child < P_FIRSTDATAKEY(opaque))
		return NOT_HERE;
	*next = BTreeTupleGetDownLink((IndexTuple) PageGetItem(page, PageGetItemId(page, child)));
	return GO_DOWN;
}

static bool
root_read(Relation index, PeekRoot *root)
{
	Buffer		buffer = ReadBuffer(index, BTREE_METAPAGE);
	BTMetaPageData *meta;
	bool		usable;

	_bt_lockbuf(index, buffer, BT_READ);
	meta = BTPageGetMeta(BufferGetPage(buffer));
	usable = meta->btm_magic == BTREE_MAGIC && meta->btm_version == BTREE_VERSION &&
		meta->btm_fastroot != P_NONE;
	if (usable)
	{
		root->filenode = bj_compat_filenode(index);
		root->block = meta->btm_fastroot;
		root->level = meta->btm_fastlevel;
	}
	_bt_relbuf(index, buffer);
	return usable;
}

/*
 * A root that was read before is still the first page of its level while the
 * file is the same.  Is it the only one, as it was?
 */
static bool
root_holds(Page page, const PeekRoot *root)
{
	BTPageOpaque opaque = BTPageGetOpaque(page);

	return P_LEFTMOST(opaque) && P_RIGHTMOST(opaque) && !P_IGNORE(opaque) &&
		opaque->btpo_level == root->level;
}

/*
 * A page above the leaves: few, and looked at again and again, so that it is
 * worth to remember in which buffer each was.
 */
static Buffer
read_inner(Relation index, PeekRoot *root, BlockNumber block)
{
	Buffer	   *recent = &root->recent[block % lengthof(root->recent)];

	if (BufferIsInvalid(*recent) || !bj_compat_read_recent(index, block, *recent))
		*recent = ReadBuffer(index, block);
	return *recent;
}

/*
 * Keys are often asked for in their order, so that many are on the leaf of the
 * one before.  True when this leaf is the one where the key would be: then
 * *verdict is what it says.
 */
static bool
look_at_recent_leaf(Relation index, PeekRoot *root, const PeekKey *key, ItemPointer tid,
					Verdict *verdict)
{
	Buffer		buffer = root->leaf_recent;
	BTPageOpaque opaque;
	Page		page;
	bool		here;

	if (root->leaf == 0 || !bj_compat_read_recent(index, root->leaf, buffer))
		return false;
	_bt_lockbuf(index, buffer, BT_READ);
	page = BufferGetPage(buffer);
	here = !PageIsNew(page) && PageGetSpecialSize(page) == MAXALIGN(sizeof(BTPageOpaqueData));
	opaque = BTPageGetOpaque(page);
	here = here && P_ISLEAF(opaque) && !P_IGNORE(opaque) &&
		P_FIRSTDATAKEY(opaque) <= PageGetMaxOffsetNumber(page) &&
		(P_RIGHTMOST(opaque) || compare_item(index, key, page, P_HIKEY) <= 0) &&
		compare_item(index, key, page, P_FIRSTDATAKEY(opaque)) > 0;
	if (here)
		*verdict = look_at_leaf(index, key, page, tid);
	_bt_relbuf(index, buffer);
	return here;
}

bool
bj_btreepeek_find(Relation index, PeekRoot *root, const PeekKey *key, ItemPointer tid)
{
	bool		fresh = root->filenode != bj_compat_filenode(index);
	BlockNumber next;
	uint32		level;
	Verdict		verdict = GO_DOWN;

	if (fresh && !root_read(index, root))
		return false;
	pgstat_count_index_scan(index); /* or it would look unused */
	if (fresh)
		root->leaf = 0;
	else if (look_at_recent_leaf(index, root, key, tid, &verdict))
		return verdict == FOUND;
	next = root->block;
	level = root->level;
	for (int step = 0; step < MAX_STEPS && verdict < FOUND; step++)
	{
		Buffer		buffer = level > 0 ? read_inner(index, root, next) : ReadBuffer(index, next);
		Page		page = BufferGetPage(buffer);

		_bt_lockbuf(index, buffer, BT_READ);
		if (PageIsNew(page) || PageGetSpecialSize(page) != MAXALIGN(sizeof(BTPageOpaqueData)))
			verdict = NOT_HERE; /* damaged: a scan will say so */
		else if (step == 0 && !fresh && !root_holds(page, root))
		{
			_bt_relbuf(index, buffer);
			root->filenode = InvalidOid;
			return bj_btreepeek_find(index, root, key, tid);
		}
		else
			verdict = look_at_page(index, key, page, level, &next, tid);
		if (verdict == FOUND)
		{
			root->leaf = BufferGetBlockNumber(buffer);
			root->leaf_recent = buffer;
		}
		_bt_relbuf(index, buffer);
		if (verdict == GO_DOWN)
			level--;
	}
	return verdict == FOUND;
}
