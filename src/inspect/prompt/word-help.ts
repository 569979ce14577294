/**
 * The help of `h(name)`: the methods of a handle, one line each. A test compares them with the
 * handles.
 */
import { invalidArgument } from '../../errors.ts'
import { factList } from '../text/text-table.ts'
import { View } from '../text/view.ts'

const storeMethods = [
  ['get(key), has(key), ttl(key)', 'the value, whether there is one, and what it has left in ms'],
  ['getMany(keys)', 'several values, in the order of the keys'],
  ['getRange(key, from, to)', 'bytes of a value, half open'],
  ['load(key), getStream(key)', 'a large value: whole, or as a stream'],
  ['fields(key), getField(key, field)', 'a compound key: a Map of its fields, one of them'],
  ['range({ prefix, gte, lt, reverse, limit, cursor })', 'one page of keys and values, in order'],
  ['entries(options)', 'all of them: for await (const [key, value] of store.entries())'],
  ['put(key, value, { ttlMs, ack })', 'replaces value, kind and expiry'],
  ['putStream(key, readable, { size })', 'a value larger than memory'],
  ['set(key, value, { nx, xx, keepTtl, get })', 'with a condition, or answering what was there'],
  ['getSet(key, value)', 'replaces, and answers what was there'],
  ['append(key, suffix)', 'text or bytes, behind those that are there'],
  ['setRange(key, offset, patch)', 'overwrites bytes of text or bytes'],
  ['compareAndSet(key, expected, value)', 'only when that is there; undefined: when nothing is'],
  ['update(key, change)', 'reads, changes and writes, without a lost update'],
  ['delete(key), deleteMany(keys)', 'removes'],
  ['putMany(entries)', 'several at once, atomic within each shard'],
  ['batch()', 'batch().put(key, value).delete(key).commit(): all or nothing, in one shard'],
  ['lock(keys, { owner, leaseMs })', 'all keys or none: only their owner writes them'],
  ['extend(keys, { owner, leaseMs })', 'renews locks'],
  ['unlock(keys, { owner })', 'gives locks up'],
  ['lockedPut(key, value, { owner })', 'a put by the owner of the lock'],
  ['putField(key, field, value)', 'one field of a compound key'],
  ['putFields(key, fields)', 'several of them at once'],
  ['deleteField(key, field)', 'removes one; with the last one the key goes'],
  ['expire(key, ttlMs), persist(key)', 'gives the value an end, or takes it away'],
  ['watch({ prefix, from })', 'durable changes: for await (const change of store.watch())'],
  ['clear({ namespace })', 'removes every key, or those of a namespace'],
  ['shardOf(key)', 'the number of its shard'],
  ['settled()', 'resolves when every write that was called before is decided'],
] as const

const controlMethods = [
  ['flush(shard), flushAll()', 'resolves when the projection shows all that was applied'],
  ['suspend(shard, { writes, leaseMs })', 'holds a projection; with writes, its writers too'],
  ['suspendAll(options)', 'every shard side by side'],
  ['resume(shard, { token, force }), resumeAll()', 'ends suspensions'],
  ['discard(shard), discardAll()', 'forgets what waits for the projection; the log brings it back'],
  ['sweep(shard), sweepAll()', 'gives back large values that nothing refers to'],
  ['snapshot(shard), snapshotAll()', 'makes a snapshot, and gives the log before it back'],
  ["reopen(shard, 'shard' | 'followers' | 'replication')", 'starts what is down, all or that part'],
  ['acceptClock()', 'follows the clock of the machine after it was set'],
] as const

const flowMethods = [
  ['list()', 'all workflows and queues, with counts'],
  ["list('order', { status, parent, root, correlation, since, until, order })", 'a page of runs'],
  ["show('order', '42'), show('mails')", 'a run with its operations; a queue'],
  ["cancel('order', '42', { reason, force })", 'cancels a run; by force without undos'],
  ["retry('order', '42'), retry('mails', '7', { queue })", 'lets a run, or a dead job, go on'],
  ["signal('order', '42', name, value, { id })", 'sends a signal; one with an id counts once'],
  ["settle('order', '42', key, { value } | { error })", 'decides a step that blocks its run'],
  ["dead('mails')", 'a page of dead jobs'],
  ["pause('mails'), resume('mails')", 'holds the jobs of a queue, and lets them start'],
] as const

const topics: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  store: storeMethods,
  control: controlMethods,
  flow: flowMethods,
}

/**
 * The output of `h(name)`: the methods of a handle, or the line of `commands` about another word.
 * The word itself may be passed instead of its name.
 * @throws KeelsonError `INVALID_ARGUMENT` for a word without help
 */
export const wordHelp = (
  words: Readonly<Record<string, unknown>>,
  word: unknown,
  commands: readonly (readonly [string, string])[] = [],
): View => {
  const name =
    typeof word === 'string' ? word : Object.keys(words).find((each) => words[each] === word)
  const lines = name !== undefined && Object.hasOwn(topics, name) ? topics[name] : undefined
  if (lines && name !== undefined)
    return new View(factList(lines.map(([call, what]) => [`${name}.${call}`, what] as const)))
  const told = commands.filter(([usage]) => name !== undefined && wordsIn(usage).includes(name))
  if (told.length > 0) return new View(factList(told))
  const known = [...Object.keys(topics), ...commands.flatMap(([usage]) => wordsIn(usage))]
  throw invalidArgument('h', `one of ${[...new Set(known)].join(', ')}`, name ?? typeof word)
}

/** The words that a usage begins its parts with: `suspend(p), resume(p)` are two. */
const wordsIn = (usage: string): string[] => usage.replace(/\(.*?\)/g, '').split(', ')
