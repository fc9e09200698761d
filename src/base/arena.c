/*
 * arena: memory of a process that forks often, kept apart from its children's.
 *
 * Runs in nursery and sessions.  A block is a head of 16 bytes and its
 * content; sizes are classes, up to a quarter apart; free blocks of a class
 * are a list; new ones are cut from pages that nobody has used yet, so that
 * they are zero already.  Large ones lie apart from small ones: buffers are
 * touched only as far as they are used.
 *
 * Heads carry a check made of address, class and a secret: what a peer may
 * bring to write beyond a block's end ends the session, no more.
 */
#include "base/arena.h"

#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena_internal.h"
#include "compat/compat.h"
#include "compat/hugepages.h"

#define UNIT 16
#define PAGE ((size_t)4 << 10)

#ifdef HUGE_HEAP
#define HAS_HUGE_HEAP true
#else
#define HAS_HUGE_HEAP false
#endif

/* Classes: each unit up to FINE of them, then four to a doubling. */
#define FINE 32
#define CLASSES (FINE + 1 + 4 * 12)
/* The largest class; beyond it a block is a mapping of its own. */
#define LARGEST ((size_t)1 << 20)
#define CLASS_MAPPED 0xfffe
/* Its content begins later, for alignment; `extra` says how much. */
#define CLASS_MOVED 0xffff

/* From here on a block counts as large. */
#define LARGE ((size_t)16 << 10)

/*
 * How much is mapped at a time.  What a parent allocates before it forks is
 * written to no more, as a rule, and so lies in huge pages: its children
 * copy an entry for each when they begin, and give it up when they end.
 */
#define CHUNK ((size_t)256 << 10)

/*
 * What a child finds ready: a stack, and behind it room for small and for
 * large blocks.  All within one page table's reach, so that it needs no
 * second one, with a gap below that ends a stack which grows too far; no
 * function of ours needs as much at once as that.
 */
#define NEST HUGEPAGES_SIZE
#define NEST_GUARD ((size_t)64 << 10)
#define NEST_STACK ((size_t)512 << 10)
#define NEST_SMALL ((size_t)384 << 10)
#define NEST_HOT ((size_t)64 << 10) /* of that, for the parent's blocks */
/* Below the frame of who rests: what is called there needs some. */
#define STACK_KEPT PAGE
/* What every child uses: there after one call instead of a fault a page. */
#define PRESENT_STACK ((size_t)12 << 10)
#define PRESENT_SMALL ((size_t)32 << 10)

/*
 * What is wiped is there again for the next use: blocks of that size, the
 * beginning of others, so much of the stack.
 */
#define WIPED_WHOLE ((size_t)32 << 10)
#define WIPED_KEPT ((size_t)8 << 10)
#define STACK_WIPED ((size_t)40 << 10)
/* More than the frame of a function of ours that has no arrays. */
#define STACK_NEAR ((size_t)1024)

/* Elsewhere MADV_DONTNEED is advice, and the bytes may still be there. */
#ifdef __linux__
#define GIVES_ZEROS true
#else
#define GIVES_ZEROS false
#endif

struct head {
	uint16_t class;
	uint16_t generation;
	uint32_t check;
	uint64_t extra; /* of mapped and moved blocks */
};

struct free_block {
	struct head head;
	struct free_block *next;
};

/* Pages that nobody has used yet. */
struct fresh {
	unsigned char *at, *end;
};

/* Whose a block is: nobody else's are ever given back, or written to. */
enum generation { PREPARING, FORKING, CHILD };

/* One page, written all the time: nothing else may lie on it. */
static struct {
	uint32_t secret;
	uint16_t generation;
	struct fresh small, large;
	struct free_block *lists[CLASSES];
	unsigned char *nest;
	struct fresh hot; /* in the nest, between stack and room */
	arena_placer *placer;
	unsigned cuts[CLASSES];
} arena __attribute__((aligned(4096)));

enum { IS_USED = 0x55555555, IS_FREE = 0x2aaaaaaa };

/* Something has overwritten what nobody may write to. */
static _Noreturn void
damaged(void)
{
	abort();
}

/* A few instructions: it is computed ten thousand times a handshake. */
static inline uint32_t
check_of(const struct head *head, uint32_t state)
{
	uint32_t kind = (uint32_t)head->generation << 16 | head->class;

	return ((uint32_t)((uintptr_t)head / UNIT) + state) *
	    (arena.secret ^ kind);
}

static struct head *
head_of(void *content)
{
	struct head *head = (struct head *)content - 1;

	if (head->check != check_of(head, IS_USED))
		damaged();
	return head;
}

/* The class that holds size bytes; size is at most LARGEST. */
static inline unsigned
class_of(size_t size)
{
	size_t units = (size + UNIT - 1) / UNIT;
	unsigned log, step;

	if (units <= FINE)
		return (unsigned)units;
	log = 63 - (unsigned)__builtin_clzll(units - 1);
	step = (unsigned)((units - 1) >> (log - 2)) & 3;
	return FINE + 1 + (log - 5) * 4 + step;
}

static size_t
size_of_class(unsigned class)
{
	unsigned log = (class - FINE - 1) / 4 + 5;
	size_t step = (class - FINE - 1) % 4 + 1;

	if (class <= FINE)
		return (size_t)(class == 0 ? 1 : class) * UNIT;
	return (((size_t)1 << log) + (step << (log - 2))) * UNIT;
}

static void *
map(size_t size)
{
	void *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return NULL;
#ifdef MADV_DONTFORK
	if (arena.generation == FORKING)
		(void)madvise(area, size, MADV_DONTFORK);
#endif
	return area;
}

/* For what is not going to change: each huge page has to be touched. */
static void *
map_huge(size_t size)
{
	unsigned char *area = hugepages_map(size);
	size_t at;

	if (area == NULL)
		return NULL;
	for (at = 0; at < size; at += HUGEPAGES_SIZE)
		area[at] = 0;
	(void)hugepages_make(area, size);
	return area;
}

/* Room for a child, which need not map any.  NULL: there is none. */
static unsigned char *
map_nest(void)
{
	unsigned char *area = hugepages_map(NEST);

	if (area != NULL && mprotect(area, NEST_GUARD, PROT_NONE) == -1) {
		munmap(area, NEST);
		return NULL;
	}
	return area;
}

/*
 * The secret, and the nest.  The random bytes themselves guard the stack
 * as well, and stay hidden.
 */
static bool
begin(void)
{
	const unsigned char *random = (const void *)getauxval(AT_RANDOM);
	uint64_t words[2] = { 1, 1 };

	if (random != NULL)
		memcpy(words, random, sizeof(words));
	arena.secret = (uint32_t)((words[0] * 0x9e3779b97f4a7c15U ^
				      words[1] * 0xc2b2ae3d27d4eb4fU) >>
			   32) |
	    1;
	arena.nest = map_nest();
	if (arena.nest == NULL)
		return false;
	arena.hot.at = arena.nest + NEST_GUARD + NEST_STACK;
	arena.hot.end = arena.hot.at + NEST_HOT;
	return true;
}

static bool
more(struct fresh *fresh, size_t size)
{
	size_t len = size > CHUNK ? size + CHUNK : CHUNK;
	bool is_huge = HAS_HUGE_HEAP && arena.generation == PREPARING;
	unsigned char *area;

	if (is_huge)
		len = (len + HUGEPAGES_SIZE - 1) & ~(HUGEPAGES_SIZE - 1);
	area = is_huge ? map_huge(len) : map(len);
	if (area == NULL)
		return false;
	fresh->at = area;
	fresh->end = area + len;
	return true;
}

void
arena_set_placer(arena_placer *placer)
{
	arena.placer = placer;
}

void
arena_drop_free(void)
{
	memset(arena.lists, 0, sizeof(arena.lists));
}

void *
arena_take_hot(size_t size)
{
	void *place = arena.hot.at;

	if ((size_t)(arena.hot.end - arena.hot.at) < size)
		return NULL;
	arena.hot.at += size;
	return place;
}

static void *
hand_out(struct head *head, unsigned class, uint64_t extra)
{
	head->class = (uint16_t) class;
	head->generation = arena.generation;
	head->extra = extra;
	head->check = check_of(head, IS_USED);
	return head + 1;
}

static void *
map_block(size_t size)
{
	struct head *head = NULL;

	if (size < SIZE_MAX / 2) {
		size += sizeof(*head);
		head = map(size);
	}
	if (head == NULL)
		return NULL;
	return hand_out(head, CLASS_MAPPED, size);
}

/* All is there in a huge page, whether it is used or not. */
static inline bool
is_apart(size_t size)
{
	return size >= LARGE &&
	    !(HAS_HUGE_HEAP && arena.generation == PREPARING);
}

/* A block that nobody has used yet. */
static __attribute__((noinline)) void *
cut(unsigned class)
{
	size_t size = sizeof(struct head) + size_of_class(class);
	struct fresh *fresh = is_apart(size) ? &arena.large : &arena.small;
	unsigned number = arena.cuts[class];
	struct head *head = NULL;

	if (arena.placer != NULL)
		head = arena.placer(class, number, size);
	arena.cuts[class] = number + 1;
	if (head != NULL)
		return hand_out(head, class, 0);
	if ((size_t)(fresh->end - fresh->at) < size && !more(fresh, size))
		return NULL;
	head = (struct head *)fresh->at;
	fresh->at += size;
	return hand_out(head, class, 0);
}

/* A block that was freed, or NULL. */
static inline void *
reuse(unsigned class)
{
	struct free_block *block = arena.lists[class];

	if (block == NULL)
		return NULL;
	if (block->head.check != check_of(&block->head, IS_FREE))
		damaged();
	arena.lists[class] = block->next;
	block->head.check = check_of(&block->head, IS_USED);
	return &block->head + 1;
}

static size_t
room_of(const struct head *head)
{
	if (head->class == CLASS_MAPPED)
		return (size_t)head->extra - sizeof(*head);
	return size_of_class(head->class);
}

static unsigned char *
page_after(unsigned char *at)
{
	return at + (-(uintptr_t)at & (PAGE - 1));
}

/* A generation leaves what the one before it has alone. */
static void
begin_generation(enum generation generation)
{
	arena.generation = (uint16_t)generation;
	arena.placer = NULL;
	arena_drop_free();
	arena.small = arena.large = (struct fresh){ NULL, NULL };
}

void
arena_freeze(void)
{
	if (arena.generation == PREPARING)
		begin_generation(FORKING);
}

void
arena_settle(void)
{
	unsigned char *stack_end = arena.nest + NEST_GUARD + NEST_STACK;
	unsigned char *room = page_after(arena.hot.at);

	begin_generation(CHILD);
	arena.small.at = room;
	arena.small.end = arena.large.at = stack_end + NEST_SMALL;
	arena.large.end = arena.nest + NEST;
#ifdef MADV_POPULATE_WRITE
	/* Where the kernel cannot, pages come one by one. */
	(void)madvise(stack_end - PRESENT_STACK,
	    (size_t)(room - stack_end) + PRESENT_STACK + PRESENT_SMALL,
	    MADV_POPULATE_WRITE);
#endif
}

/*
 * The whole pages of it, which are zero afterwards.  -1: the system does
 * not.
 */
static int
give_pages(unsigned char *start, unsigned char *end)
{
	start = page_after(start);
	end -= (uintptr_t)end & (PAGE - 1);
	if (start >= end)
		return 0;
	return madvise(start, (size_t)(end - start), MADV_DONTNEED);
}

/* Large ones are rarely used to their end, which need not become present. */
static void
wipe(struct free_block *block, size_t size)
{
	unsigned char *start = (unsigned char *)(block + 1);
	unsigned char *end = (unsigned char *)(&block->head + 1) + size;
	unsigned char *kept = page_after(start + WIPED_KEPT);

	if (arena.generation == CHILD && size > WIPED_WHOLE && GIVES_ZEROS &&
	    give_pages(kept, end) == 0) {
		explicit_bzero(start, (size_t)(kept - start));
		start = end - ((uintptr_t)end & (PAGE - 1));
	}
	explicit_bzero(start, (size_t)(end - start));
}

bool
arena_wipe_freed(void)
{
	struct free_block *block;
	unsigned class;

	for (class = 0; class <= class_of(ARENA_WIPED_MAX); class ++)
		for (block = arena.lists[class]; block != NULL;
		     block = block->next)
			wipe(block, size_of_class(class));
	return true;
}

/* Below the caller's frame, and by that below what it has called before. */
static __attribute__((noinline)) void
wipe_near(void)
{
	unsigned char used[2 * STACK_NEAR];

	explicit_bzero(used, sizeof(used));
}

/*
 * From the bottom of the stack to our frame: what is deep is given back.  Not
 * an array of our own is written to, as what is called from below one would
 * make another page present.
 */
__attribute__((noinline)) void
arena_wipe_stack(void)
{
	unsigned char *bottom = arena.nest + NEST_GUARD;
	unsigned char *here = __builtin_frame_address(0);
	unsigned char *from = bottom;

	if (arena.generation != CHILD)
		return;
	if (here - bottom > (ptrdiff_t)STACK_WIPED) {
		from = here - STACK_WIPED;
		from -= (uintptr_t)from & (PAGE - 1);
		if (!GIVES_ZEROS || give_pages(bottom, from) == -1)
			from = bottom;
	}
	explicit_bzero(from, (size_t)(here - STACK_NEAR - from));
	wipe_near();
}

void
arena_rest(void)
{
	unsigned char *stack = arena.nest + NEST_GUARD;
	unsigned char *here = __builtin_frame_address(0);
	struct free_block *block;
	unsigned class;

	if (arena.generation != CHILD)
		return;
	/* It is ours, and the system's call below needs a little. */
	if (here > stack + STACK_KEPT && here < stack + NEST_STACK)
		(void)give_pages(stack, here - STACK_KEPT);
	(void)give_pages(arena.small.at, arena.small.end);
	(void)give_pages(arena.large.at, arena.large.end);
	for (class = class_of(PAGE); class < CLASSES; class ++)
		for (block = arena.lists[class]; block != NULL;
		     block = block->next)
			(void)give_pages((unsigned char *)(block + 1),
			    (unsigned char *)(&block->head + 1) +
				size_of_class(class));
}

struct birth {
	void (*child)(void *arg);
	void *arg;
};

static int
be_born(void *arg)
{
	const struct birth *birth = arg;

	arena_settle();
	birth->child(birth->arg);
	_exit(0);
}

pid_t
arena_fork(void (*child)(void *arg), void *arg)
{
	struct birth birth = { child, arg };

	if (arena.generation == CHILD || (arena.nest == NULL && !begin())) {
		errno = ENOMEM;
		return -1;
	}
	return compat_fork_on(
	    arena.nest + NEST_GUARD + NEST_STACK, be_born, &birth);
}

/*
 * malloc(3) and its kin.
 */

/* A block whose bytes are zero, or NULL with errno. */
static void *
take_unused(size_t size)
{
	void *content = NULL;

	if (arena.nest != NULL || begin())
		content =
		    size > LARGEST ? map_block(size) : cut(class_of(size));
	if (content == NULL)
		errno = ENOMEM;
	return content;
}

void *
malloc(size_t size)
{
	void *content = NULL;

	if (size <= LARGEST)
		content = reuse(class_of(size));
	return content != NULL ? content : take_unused(size);
}

void *
calloc(size_t count, size_t size)
{
	void *content = NULL;

	if (size != 0 && count > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	size *= count;
	if (size <= LARGEST)
		content = reuse(class_of(size));
	if (content == NULL)
		return take_unused(size);
	return memset(content, 0, size);
}

/* Where the block itself begins, of one that was moved for alignment. */
static struct head *
origin_of(struct head *head)
{
	if (head->class != CLASS_MOVED)
		return head;
	return head_of((unsigned char *)(head + 1) - head->extra);
}

/* One that is no plain block of this process. */
static __attribute__((noinline)) void
free_other(struct head *head)
{
	head = origin_of(head);
	if (head->generation != arena.generation)
		return;
	if (head->class == CLASS_MAPPED)
		munmap(head, (size_t)head->extra);
	else
		free(head + 1);
}

void
free(void *content)
{
	struct free_block *block;
	struct head *head;

	if (content == NULL)
		return;
	head = head_of(content);
	if (head->generation != arena.generation || head->class >= CLASSES) {
		free_other(head);
		return;
	}
	block = (struct free_block *)head;
	block->head.check = check_of(head, IS_FREE);
	block->next = arena.lists[head->class];
	arena.lists[head->class] = block;
}

size_t
malloc_usable_size(void *content)
{
	struct head *head;

	if (content == NULL)
		return 0;
	head = head_of(content);
	if (head->class == CLASS_MOVED)
		return room_of(origin_of(head)) - (size_t)head->extra;
	return room_of(head);
}

void *
realloc(void *content, size_t size)
{
	size_t room;
	void *moved;

	if (content == NULL)
		return malloc(size);
	room = malloc_usable_size(content);
	if (size <= room)
		return content;
	moved = malloc(size);
	if (moved == NULL)
		return NULL;
	memcpy(moved, content, room);
	free(content);
	return moved;
}

void *
memalign(size_t alignment, size_t size)
{
	unsigned char *block, *content;

	if (alignment <= UNIT)
		return malloc(size);
	if ((alignment & (alignment - 1)) != 0) {
		errno = EINVAL;
		return NULL;
	}
	if (alignment > SIZE_MAX / 4 || size > SIZE_MAX / 4) {
		errno = ENOMEM;
		return NULL;
	}
	block = malloc(size + alignment + UNIT);
	if (block == NULL)
		return NULL;
	content = block + UNIT + alignment -
	    ((uintptr_t)(block + UNIT) & (alignment - 1));
	return hand_out((struct head *)content - 1, CLASS_MOVED,
	    (uint64_t)(content - block));
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int
posix_memalign(void **place, size_t alignment, size_t size)
{
	void *content = memalign(alignment, size);

	if (content == NULL)
		return errno;
	*place = content;
	return 0;
}
