/**
 * The tools of `keelson mcp`: a table of names, descriptions and parameters, and which looks each
 * asks. They can only look: a tool gets the looks of the page and the pages of the docs, and nothing
 * else. Pure.
 */
import { invalidArgument, isKeelsonError, reasonText } from '../../errors.ts'
import { type Header, runStatuses, type Views } from '../../observe/index.ts'
import { noOptions, ownOf } from '../../own-names.ts'
import type { DocPages } from './doc-pages.ts'

/** The sources of a tool: it may ask these, and nothing else. */
export type Sources = {
  /** The data of a look of the page. @throws KeelsonError its refusal */
  readonly look: <V extends keyof Views>(
    view: V,
    query: Given,
  ) => Promise<{ readonly header: Header; readonly data: Views[V]['data'] }>
  readonly docs: DocPages
}

/** Arguments that were checked against the parameters of a tool. */
export type Given = Readonly<Record<string, string | number>>

/** A parameter, as JSON Schema. */
export type Parameter = {
  readonly description: string
  readonly isRequired?: true
} & (
  | { readonly type: 'string'; readonly maxLength: number; readonly enum?: readonly string[] }
  | { readonly type: 'integer'; readonly minimum: number; readonly maximum: number }
)

/** A tool of the table. */
export type Tool = {
  readonly title: string
  /** The content of its answer, and which tool comes next. */
  readonly description: string
  readonly parameters: Readonly<Record<string, Parameter>>
  readonly answer: (sources: Sources, given: Given) => object | Promise<object>
}

/** The most characters of a text: the instance would end a connection at a line of over 1 MiB. */
const textMax = 2_000

const text = (description: string): Parameter => ({
  type: 'string',
  maxLength: textMax,
  description,
})
const must = (description: string): Parameter => ({ ...text(description), isRequired: true })
const word = (description: string, words: readonly string[]): Parameter => ({
  type: 'string',
  maxLength: textMax,
  enum: words,
  description,
})
const whole = (
  description: string,
  minimum: number,
  maximum = Number.MAX_SAFE_INTEGER,
): Parameter => ({ type: 'integer', minimum, maximum, description })

const member = {
  member: text(
    'Of an instance of several processes or machines, the member to ask; see `members`.',
  ),
}
const cursor = { cursor: text('`cursor` of the answer before, for the page after it.') }
const entity = {
  kind: must('The kind of the durable actor, as `kinds` lists it; `$worker` for a durable worker.'),
  id: must('The id of the actor.'),
}
const run = {
  type: must('The name of the workflow, as `workflows` lists it.'),
  id: must('The id of the run.'),
}
const queue = { queue: must('The name of the queue, as `queues` lists it.') }

/** A tool that answers with one look. */
const looking = <V extends keyof Views>(
  view: V,
  title: string,
  description: string,
  parameters: Tool['parameters'] = noOptions,
): Tool => ({
  title,
  description,
  parameters: { ...parameters, ...member },
  answer: async ({ look }, given) => Object((await look(view, given)).data),
})

/** If the instance has several members: `member` has answered, for its own process alone. */
const whose = ({ member, members = [] }: Header): object =>
  member === undefined
    ? noOptions
    : { member, otherMembers: members.filter((each) => each !== member) }

/** A tool that answers with one look at the process of one member, and says at which. */
const ofOneProcess: typeof looking = (view, title, description, parameters) => ({
  ...looking(
    view,
    title,
    `${description} Of several members only one is shown, which the answer names: ask \`otherMembers\` with \`member\`.`,
    parameters,
  ),
  answer: async ({ look }, given) => {
    const { header, data } = await look(view, given)
    return { ...whose(header), ...Object(data) }
  },
})

/** The last events of all members, or of the member that is named. `silent`: the members that did not answer. */
const logOfAll: Tool['answer'] = async ({ look }, given) => {
  const { header, data } = await look('log', given)
  const own = header.member
  if (own === undefined || given.member !== undefined) return { ...whose(header), ...data }
  const silent: object[] = []
  const others = (header.members ?? []).filter((each) => each !== own)
  const asked = others.map(async (member) => {
    try {
      const { lines } = (await look('log', { ...given, member })).data
      return lines.map((line) => ({ member, ...line }))
    } catch (error) {
      const code = isKeelsonError(error) ? error.code : 'FAILED'
      silent.push({ member, code, reason: reasonText(error) })
      return []
    }
  })
  const lines = [
    ...data.lines.map((line) => ({ member: own, ...line })),
    ...(await Promise.all(asked)).flat(),
  ].sort((one, other) => one.at - other.at)
  return { lines: lastOf(lines), silent }
}

const linesMax = 100
/** An answer has 64 KiB, of which times as texts and what says who is silent take some. */
const linesBytes = 48 * 1024

/** The last lines, as many as an answer has room for. */
const lastOf = (lines: readonly object[]): readonly object[] => {
  let left = linesBytes
  let from = lines.length
  while (from > Math.max(0, lines.length - linesMax)) {
    left -= Buffer.byteLength(JSON.stringify(lines[from - 1]))
    if (left < 0) break
    from--
  }
  return lines.slice(from)
}

const jobStates = ['waiting', 'delayed', 'running', 'dead', 'done'] as const

/** The sorts of events that the flight recorder has. */
export const sorts = [
  ...(['crash', 'restart', 'gave_up', 'backed_off', 'step_failed', 'blocked'] as const),
  ...(['shard_down', 'subscription_stopped', 'slow_handler', 'log'] as const),
]
const orders = ['pid', 'rate', 'queue', 'growth', 'oldest', 'handled', 'restarts'] as const

/** All tools, by their names. */
export const tools: Readonly<Record<string, Tool>> = {
  health: {
    title: 'Health',
    description:
      'Begin here. Whether the instance is in order: its phase, the troubles with the worst first, slow and pending handlers, latencies of the last minute, sizes, members, and the last events. Each trouble has `look`, the word of the prompt, and `link`, whose view and parts name the tool to ask next: `run`, `job`, `entity`, `process`, `storage`.',
    parameters: member,
    answer: async ({ look }, given) => {
      const { header, data } = await look('overview', given)
      const { series: _series, ...overview } = data
      return { header, ...overview }
    },
  },
  troubles: {
    title: 'Troubles',
    description:
      'Only what is in trouble, the worst first: how bad, since when, in which part, why. `alert` names the entry of the page `docs/operations.md` that says what to do; read it with `docs_search`.',
    parameters: member,
    answer: async ({ look }, given) => ({
      troubles: (await look('overview', given)).data.troubles,
    }),
  },
  members: {
    title: 'Members',
    description:
      'The members of an instance of several processes or machines: shards, phase, lag, since when, and why one has not answered. One process alone has none.',
    parameters: {},
    answer: async ({ look }) => {
      const { header, data } = await look('overview', {})
      return { header, member: data.member, members: data.members ?? [] }
    },
  },
  tree: {
    title: 'Supervision tree',
    description:
      'The tree of supervisors and their processes: status, mailbox, restarts and the reason of the last end. `busy` lists the handlers that have run for more than a second. At most 300 processes: `processes` finds the others. Of several members only one is shown, which the answer names: ask `otherMembers` with `member`.',
    parameters: member,
    answer: async ({ look }, given) => {
      const { header, data: tree } = await look('tree', given)
      const { data } = await look('overview', given)
      return { ...whose(header), busy: data.pending, tree }
    },
  },
  processes: ofOneProcess(
    'processes',
    'Processes',
    'Processes in an order, the most first, with message rate, mailbox, the age of the oldest message, and restarts.',
    {
      order: word('By which value; `rate` by default.', orders),
      kind: text('Only processes of this kind, such as `entity`.'),
      find: text('Only processes whose name contains this text.'),
      limit: whole('How many rows; 100 by default.', 1, 200),
      after: text('`next` of the answer before, for the page after it.'),
    },
  ),
  process: ofOneProcess(
    'process',
    'One process',
    'One process: state, links, monitors, waiting messages, and its last events with stacks. For a pid that has crashed it answers with the process that replaced it.',
    { pid: { ...whole('The pid, as other answers have it.', 1), isRequired: true } },
  ),
  crashes: looking(
    'crashes',
    'Crashes',
    'Without `process`: the last crashes, those of one process with one error as one, with count, first and last time. With `process`: its last crash reports, with stack and causes.',
    { process: text('The `subject` of a crash, such as `mailer` or `order/17`.') },
  ),
  log: {
    title: 'Log',
    description:
      'The last 100 events of the flight recorder, the newest last: warnings and errors of the log, crashes, restarts, failed steps, slow handlers. With several members the list has the events of all, each with its member; `silent` names the members that did not answer. The recorder is in memory: a restart of the instance empties it.',
    parameters: {
      level: word('Only events of this level.', ['error', 'warn']),
      sort: word('Only events of this sort.', sorts),
      find: text('Only events whose subject or text contains this text.'),
      ...member,
    },
    answer: logOfAll,
  },
  workflows: {
    title: 'Workflows',
    description:
      'All workflows with the number of runs in each status, and the schedules. `silent` did not answer.',
    parameters: member,
    answer: async ({ look }, given) => {
      const { queues: _queues, ...flows } = (await look('flows', given)).data
      return flows
    },
  },
  runs: looking(
    'runs',
    'Runs',
    'Runs of a workflow, the newest change first: status, attempt, error, and what each waits for.',
    {
      type: run.type,
      status: word('Only runs in this status.', runStatuses),
      where: text('Only runs with these attributes: `customer=c-7, tier=2`.'),
      ...cursor,
    },
  ),
  run: looking(
    'run',
    'One run',
    'One run: its input, attributes, progress, output, what it waits for, its last steps with their tries, and the whole record of its failure with stack and causes.',
    run,
  ),
  schedules: looking('schedules', 'Schedules', 'A page of the schedules.', cursor),
  queues: {
    title: 'Queues',
    description:
      'All queues: how many jobs are ready, delayed, running and dead, the oldest one, and whether the queue is paused or full.',
    parameters: member,
    answer: async ({ look }, given) => {
      const { queues, silent } = (await look('flows', given)).data
      return { queues, silent }
    },
  },
  jobs: {
    title: 'Jobs',
    description:
      'Jobs of a queue in one state, or with these attributes in every state, a line each. `dead` are those whose last try failed, with their error.',
    parameters: {
      ...queue,
      state: word('In which state. Needed without `where`.', jobStates),
      where: text('Only jobs with these attributes: `customer=c-7, tier=2`.'),
      ...cursor,
      ...member,
    },
    answer: async ({ look }, given) => {
      const { state, ...others } = given
      const isDead = state === 'dead' && given.where === undefined
      const page = isDead ? look('dead', others) : look('jobs', given)
      return (await page).data
    },
  },
  job: looking(
    'job',
    'One job',
    'One job: state, tries, input, progress, result, the lines of its tries, and the record of its last failure with stack and causes.',
    { ...queue, id: must('The id of the job.') },
  ),
  kinds: looking(
    'entities',
    'Kinds of durable actors',
    'The kinds of durable actors: how many are live, blocked, failing, parked and overdue, and by which fields `entities` can be asked.',
  ),
  entities: looking(
    'kind',
    'Durable actors',
    'Durable actors of a kind, a line each. Looking wakes none.',
    {
      kind: entity.kind,
      only: word('Only those in this trouble.', ['blocked', 'failing', 'parked', 'overdue']),
      where: text('Only those with these index fields: `customer=c-7, status=open`.'),
      ...cursor,
    },
  ),
  entity: looking(
    'entity',
    'One durable actor',
    'One durable actor: state, index fields, pending steps and alarms, its failures with stacks and causes, why it is blocked, and its streams. Without `born` it does not exist. Looking does not wake it.',
    entity,
  ),
  history: looking(
    'history',
    'History of a durable actor',
    'The turns of a durable actor from the log, the newest first: cause, error, and which paths of the state each changed.',
    {
      ...entity,
      before: whole('Only turns before this LSN: `before` of the answer before.', 2),
      limit: whole('How many turns; 50 by default.', 1, 50),
    },
  ),
  entity_at: looking(
    'past',
    'A durable actor at an earlier time',
    'The state of a durable actor after the last turn up to an LSN; `history` has the LSNs.',
    { ...entity, lsn: { ...whole('The LSN.', 1), isRequired: true } },
  ),
  streams: looking(
    'streams',
    'Streams',
    'Durable streams by themselves, or those of one actor with `kind` and `id`: messages, bytes, open or closed, last append. The last messages of the streams of a run or an actor are in `run` and `entity`.',
    {
      kind: text('With `id`: only the streams of this actor.'),
      id: text('With `kind`.'),
      prefix: text('Only names that begin so.'),
      after: text('`after` of the answer before, for the page after it.'),
    },
  ),
  storage: looking(
    'storage',
    'Storage',
    'The shards: log, projection, snapshots, waiting writes, why one is down or slow, and what fills the disk.',
    { from: whole('The first shard of the page: `next` of the answer before.', 0) },
  ),
  replication: looking('replication', 'Replication', 'The replicas, and how far each is behind.'),
  docs_list: {
    title: 'Pages of the docs',
    description:
      'The pages of the documentation of the installed version, with their titles. It answers without a running instance, as all `docs_` tools do.',
    parameters: {},
    answer: ({ docs }) => ({ pages: docs.list() }),
  },
  docs_read: {
    title: 'Read a page of the docs',
    description: 'A page of the documentation of the installed version.',
    parameters: {
      page: must('The page, such as `docs/operations.md`, as `docs_list` has it.'),
      from: whole('From this character on: `next` of the answer before.', 0),
    },
    answer: ({ docs }, { page, from = 0 }) => docs.read(String(page), Number(from)),
  },
  docs_search: {
    title: 'Search the docs',
    description:
      'Paragraphs of the documentation that contain all of some words, best first, such as `BUSY gate` or `KeelsonShardDown`.',
    parameters: { words: must('Words, with spaces between them. Case does not matter.') },
    answer: ({ docs }, { words }) => docs.search(String(words)),
  },
}

/** The input schema of a tool, as JSON Schema. */
export const inputSchemaOf = ({ parameters }: Tool) => {
  const all = Object.entries(parameters)
  return {
    type: 'object' as const,
    properties: Object.fromEntries(
      all.map(([name, { isRequired: _, ...schema }]) => [name, schema]),
    ),
    required: all.flatMap(([name, { isRequired }]) => (isRequired ? [name] : [])),
    additionalProperties: false,
  }
}

/** The arguments of a call, as its tool takes them. @throws KeelsonError `INVALID_ARGUMENT` */
export const givenTo = ({ parameters }: Tool, given: object): Given => {
  const checked = new Map<string, string | number>()
  for (const [name, value] of Object.entries(given)) {
    const parameter = ownOf(parameters, name)
    if (!parameter) {
      const known = Object.keys(parameters).join(', ') || 'no arguments'
      throw invalidArgument(name, `one of ${known}`, value)
    }
    // A model that leaves a parameter out may send null or an empty text in its place.
    if (value === null || value === undefined || value === '') continue
    checked.set(name, valueIn(name, parameter, value))
  }
  for (const [name, { isRequired }] of Object.entries(parameters))
    if (isRequired && !checked.has(name))
      throw invalidArgument(name, 'a value: it is required', undefined)
  return Object.fromEntries(checked)
}

const valueIn = (name: string, parameter: Parameter, value: unknown): string | number => {
  if (parameter.type === 'integer') {
    const { minimum, maximum } = parameter
    if (typeof value === 'number' && Number.isSafeInteger(value))
      if (value >= minimum && value <= maximum) return value
    throw invalidArgument(name, `a whole number from ${minimum} to ${maximum}`, value)
  }
  const { enum: words, maxLength } = parameter
  if (typeof value !== 'string' || value.length > maxLength)
    throw invalidArgument(name, `a text of at most ${maxLength} characters`, value)
  if (words && !words.includes(value))
    throw invalidArgument(name, `one of ${words.join(', ')}`, value)
  return value
}
