/**
 * The help of the prompt: the list of `help`, and of `h(name)` the members of a handle, one line
 * each. Tests compare them with the words and the handles. It is apart from `prompt-words.ts`
 * because it is only text.
 */

import { invalidArgument } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { factList } from '../text/text-table.ts'
import { View } from '../text/view.ts'

const storeMethods = [
  ['get(key), has(key), ttl(key)', 'the value, whether there is one, and what it has left in ms'],
  ['getMany(keys)', 'several values, in the order of the keys'],
  ['getRange(key, from, to)', 'bytes of a value, half open'],
  ['load(key), getStream(key)', 'a large value: whole, or as a stream'],
  ['loadStale(key)', 'a value as a copy of its shard has it, with its position'],
  [
    'read(what, key)',
    'get, has, ttl, fields and their like as a promise, even from another member',
  ],
  ['fields(key), getField(key, field)', 'a compound key: a Map of its fields, one of them'],
  ['range({ prefix, gte, lt, reverse, limit, cursor })', 'one page of keys and values, in order'],
  ['page(options)', 'the same as a promise, which waits for a freshness'],
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
  ['typed(prefix, schema)', 'the values below a prefix, checked by a schema'],
  ['shardOf(key)', 'the number of its shard'],
  ['settled()', 'resolves when every write that was called before is decided'],
] as const

const controlMethods = [
  ['flush(shard), flushAll()', 'resolves when the projection shows all that was applied'],
  ['suspend(shard, { writes, leaseMs })', 'holds a projection; with writes, its writers too'],
  ['suspendAll(options)', 'every shard side by side'],
  ['resume(shard, { token, force }), resumeAll()', 'ends suspensions'],
  ['discard(shard), discardAll()', 'forgets what waits for the projection; the log brings it back'],
  ['sweep(shard), sweepAll()', 'frees large values that nothing refers to'],
  ['snapshot(shard), snapshotAll()', 'makes a snapshot, and gives the log before it back'],
  ["reopen(shard, 'shard' | 'followers' | 'replication')", 'starts what is down, all or that part'],
  ['acceptClock()', 'follows the clock of the machine after it was set'],
] as const

const flowMethods = [
  ['list()', 'all workflows and queues, with counts'],
  [
    "list('order', { status, parent, root, correlation, where, since, until, order })",
    'a page of runs',
  ],
  ["show('order', '42'), show('mails')", 'a run with its operations; a queue'],
  ["cancel('order', '42', { reason, force })", 'cancels a run; by force without undos'],
  [
    "retry('order', '42', { from }), retry('mails', '7', { queue })",
    'resumes a run, or a dead job',
  ],
  ["fork('order', '42', { from, id })", 'starts a run with its outcomes from before an operation'],
  ["undo('order', '42')", 'undoes a run that was cancelled by force'],
  ["signal('order', '42', name, value, { id })", 'sends a signal; one with an id counts once'],
  ["settle('order', '42', key, { value } | { error })", 'decides a step that blocks its run'],
  [
    "jobs('mails', { state, where, limit, cursor })",
    'a page of the jobs that wait, or of another state',
  ],
  ["start('order', input, { id: '43' })", 'starts a run'],
  ["add('mails', job)", 'adds a job'],
  ["dead('mails')", 'a page of dead jobs, with the stacks of their errors'],
  ["job('mails', '7')", 'one job, wherever it is'],
  ["remove('mails', '7')", 'removes a job; one that runs is cancelled'],
  [
    "pause('mails'), resume('mails', { schedule })",
    'holds the jobs of a queue or the times of a schedule, and lets them start',
  ],
  [
    "limits('mails', { concurrency, perKey, rate, reset })",
    'the limits of a queue; changes them until a reset',
  ],
  ['schedules({ limit, cursor })', 'a page of the schedules of the tree and of run time'],
  ["trigger('daily')", 'starts a run of a schedule now'],
  ["unschedule('daily')", 'removes a schedule that was made at run time'],
] as const

const appMembers = [
  ['dir, instance', 'its data folder, its name'],
  ['store', 'keys and values; h(store)'],
  ['control', 'its projections; h(control)'],
  ['journal', 'the journal of shard 0; journal.on(shard)'],
  ['streams', 'durable streams: open(name).append(message), open(name).read()'],
  ['batcher, blobs', 'windows of writes; large values'],
  ['wal(shard), lmdbWriter(shard)', 'the log and the projection of a shard'],
  ['projection(name)', 'a projection of the configuration'],
  ['entity(kind)', 'the handle of a kind of entities; h(entity)'],
  ['registry', 'names of processes by keys'],
  ['system', 'its processes: whereis(name), info(p), exit(p, reason), monitor(p, onDown), events'],
  ['member(name)', 'another member of its folder: ref(name) leads to a process there'],
  ['health()', 'everything that is known of it'],
  ['healthOfAll()', 'of all members of the folder, each shard as its owner says'],
  ['backup(dir)', 'copies it into a folder'],
  [
    'deleteWorker(name), unblockWorker(name)',
    'a durable worker: removes its rows; lets it continue',
  ],
  ['workerHistory(name), workerDiff(name, lsn, lsn2)', 'the turns of a durable worker'],
  ['workerStream(name, stream)', 'a stream that its turns write'],
  ['ready(), closed, close(), ref(), unref()', 'its start and its end'],
] as const

const entityMethods = [
  ['ref(id)', 'its ref, for call and cast in code'],
  ['state(id), rows(id)', 'the durable state; the rows that it keeps itself'],
  ['load(id)', 'the durable state, even from another member'],
  ['list({ where, prefix, limit, cursor, order, states })', 'one page of entities'],
  ['page(options)', 'the same as a promise, even from other members'],
  ["read('blocked'), read('endsAt', id)", 'the same of these two'],
  [
    'history(id, { before, limit, atLsn }), diff(id, lsn, lsn2)',
    'its turns that took effect; two compared',
  ],
  ['stream(id, name)', 'a stream that its turns write: read, page, head'],
  ['watch({ where, from })', 'durable turns: for await (const turn of …watch())'],
  ['count(), counts(field)', 'how many there are, and by each value of an index field'],
  ['alarms({ before, limit })', 'the alarms that are set, the soonest first'],
  ['blocked(), unblock(id)', 'the ones that cannot continue; lets one try again'],
  [
    'retryStep(id, name), fireAlarm(id, name), cancelAlarm(id, name)',
    'runs a pending step or an alarm now; cancels an alarm',
  ],
  ['stop(id), delete(id), endsAt(id)', 'lets it rest; removes it; when it is removed by itself'],
  ['migrateAll(options)', 'writes all states in the present version'],
] as const

const topics: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  store: storeMethods,
  control: controlMethods,
  flow: flowMethods,
  app: appMembers,
  entity: entityMethods,
}

/**
 * The output of `h(name)`: the methods of a handle, or the line of the list about another
 * word. The word itself may be passed instead of its name.
 * @throws KeelsonError `INVALID_ARGUMENT` for a word without help
 */
export const wordHelp = (words: Readonly<Record<string, unknown>>, word: unknown): View => {
  const name =
    typeof word === 'string' ? word : Object.keys(words).find((each) => ownOf(words, each) === word)
  const usages = commands.filter(([usage]) => name !== undefined && wordsIn(usage).includes(name))
  const lines = name === undefined ? undefined : ownOf(topics, name)
  if (lines) {
    const owner = name === 'entity' ? 'app.entity(kind)' : name
    const members = factList(lines.map(([call, what]) => [`${owner}.${call}`, what] as const))
    return new View(name === 'entity' ? `${factList(usages)}\n\n${members}` : members)
  }
  if (usages.length > 0) return new View(factList(usages))
  const known = [...Object.keys(topics), ...commands.flatMap(([usage]) => wordsIn(usage))]
  throw invalidArgument('h', `one of ${[...new Set(known)].join(', ')}`, name ?? typeof word)
}

/** The words that a usage begins its parts with: `suspend(p), resume(p)` are two. */
const wordsIn = (usage: string): string[] => usage.replace(/\(.*?\)/g, '').split(', ')

const commands: readonly (readonly [string, string])[] = [
  [
    'tree(), tree(p)',
    'the supervision tree, or the part below p: status, queues, restarts, why down',
  ],
  ['ps(), ps({ all: true })', 'every process, in a table; those of entities only with all'],
  ["entities(), entities('order')", 'the kinds of entities, with counts; a page of one kind'],
  ["entity('order/42')", 'one entity: its state, its last turn, what is pending'],
  ["history('order/42')", 'its turns that took effect, the newest first, with states and causes'],
  ["diff('order/42', lsn, lsn2)", 'what differs between its states as of two LSNs'],
  [
    "top(), top('queue', 20)",
    'who did most since the last look: by handled, queue, grown or memory',
  ],
  ['whereis(p)', 'its pid; undefined: no process has the name'],
  ['info(p)', 'one process whole: what it does, its queue, links, monitors'],
  ['state(p)', 'the state of a server'],
  ['mailbox(p)', 'the messages that wait'],
  ['machine(p)', 'a state machine: its states, its transitions, and where it is'],
  ['trace(p, count)', 'its next messages, replies and steps, as they happen; 0 ends it'],
  ['kill(p)', 'ends a process, untrappably; its supervisor starts it again'],
  ['suspend(p), resume(p)', 'lets the messages of a process wait, and continue'],
  ['call(p, name, payload)', 'calls a server and awaits its answer'],
  ['cast(p, …), send(p, …)', 'the same for a cast, an info; false: the message was not taken'],
  ["event(p, 'TAKE')", "sends an event to a state machine: 'TAKE', or { type: 'TAKE', … }"],
  ['store', 'keys and values: store.put(key, value), get, delete, range({ prefix }) …'],
  [
    'flow',
    "workflows and queues: flow.list(), list('order'), show('order', '42'), retry, dead('mails') …",
  ],
  ['control', 'projections: control.flushAll(), suspend(shard), resume(shard), reopen(shard) …'],
  [
    'batcher',
    'windows: batcher.windows(), setWindow(namespace, ms), changes(), flush(); the process: batcher(0)',
  ],
  ['backup(dir)', 'copies the instance into a folder; later only what is new'],
  ['wal()', 'what fills the disk; each log: LSNs, segments, recovery, durability'],
  ['journal()', 'each journal: subscriptions, saved states, the log kept; the process: journal(0)'],
  [
    "streams(), stream('import/7')",
    'the streams by themselves; one of them with its last messages',
  ],
  [
    "streams('chat/lobby')",
    "the streams of a durable actor or a run; stream('chat/lobby', 'events'): one of them",
  ],
  ["tail('import/7', 100)", 'the next messages of a stream, as they come'],
  ['projections()', 'each projection: lag, rows, outbox, suspensions'],
  ['cluster()', 'the member in its cluster: its phase, its epoch, and what its lease has left'],
  ['replication()', 'each replica: its state, its lag, and why it waits'],
  ['health()', 'what is in trouble, the worst first; health().troubles as data'],
  ['judge()', 'judges the actors at rest again: would the running build block them?'],
  [
    "rehearsal('next.config.js')",
    'judges another build on the data of this instance, in another process',
  ],
  ['crashes(), crashes(p)', 'the last crashes, with reason and message; those of p with stacks'],
  ['log(), log(100)', 'the last lines of the log, from warnings up'],
  ['app', 'the instance: app.health(), app.entity(kind), app.system …'],
  ['_', 'the value of the line before'],
  ['clear', 'clears the screen, as Ctrl-L does; Ctrl-R searches earlier lines'],
  [
    'help, h(name)',
    'this list; one command of it; what store, control, flow, app or entity can do',
  ],
  ['exit, quit', 'end the prompt, as Ctrl-D does, and the instance unless attached'],
]

/** The output of `help`. */
export const helpText = `${factList(commands)}

p is a process: wal_writer(0), applier(0), 'order/42', control, 'any name' or a pid.
A line is JavaScript; a promise is awaited.`
