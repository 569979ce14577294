/** The series of a soak: what each sample is written as, how each series is judged, and its curves. */
import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { environment } from '../harness/environment.mjs'
import { table } from '../harness/table.mjs'
import { plot } from './plot.mjs'
import { verdictOf } from './verdict.mjs'

const MB = 1e6
/**
 * What stays of an entry of the journal by design: its id, in LMDB at most 190 bytes, and in each of two snapshots, which the
 * backup has too, 57.
 */
const idBytes = { lmdb: 190, snapshot: 2 * 57, backup: 2 * 57 }
/** What a run takes in the projection until the keeper removes it, which works each hour. */
const runBytes = 6_000

const entries = ({ done }) => done.enter
const runs = ({ done, seconds }) => 2 * done.trip + seconds / 5
const never = () => 0

/** What has to be flat of a process: the name, the value in a sample of it, and the bound of its growth. */
const ofProcess = [
  { name: 'anonymous', unit: 'MB', of: ({ anonymous }) => anonymous / MB, share: 0.1, atMost: 15 },
  { name: 'malloc', unit: 'MB', of: ({ malloc }) => malloc / MB, share: 0.1, atMost: 15 },
  { name: 'live heap', unit: 'MB', of: ({ heapLive }) => heapLive / MB, share: 0.05, atMost: 2 },
  { name: 'external', unit: 'MB', of: ({ external }) => external / MB, share: 0.1, atMost: 4 },
  { name: 'descriptors', unit: '', of: ({ fds }) => fds, atMost: 4 },
  { name: 'threads', unit: '', of: ({ threads }) => threads, atMost: 1 },
  { name: 'handles', unit: '', of: ({ handles }) => handles, atMost: 4 },
  { name: 'timers', unit: '', of: ({ timers }) => timers, atMost: 4 },
  { name: 'actors', unit: '', of: ({ actors }) => actors, share: 0.1, atMost: 10 },
  { name: 'projection lag', unit: 'MB', of: ({ lagBytes }) => lagBytes / MB, atMost: 1 },
  { name: 'loop p99', unit: 'ms', of: ({ loopP99 }) => loopP99, share: 0.5, atMost: 5 },
]

const ofDisk = [
  { name: 'log', unit: 'MB', of: ({ bytes }) => bytes.wal / MB, share: 0.2, atMost: 5 },
  {
    ...{ name: 'lmdb', unit: 'MB', of: ({ bytes }) => bytes.lmdb / MB, share: 0.1, atMost: 2 },
    explained: (part) => (entries(part) * idBytes.lmdb + runs(part) * runBytes) / MB,
  },
  {
    ...{ name: 'snapshots', unit: 'MB', of: ({ bytes }) => bytes.snapshot / MB },
    ...{ share: 0.1, atMost: 2 },
    explained: (part) => (entries(part) * idBytes.snapshot + runs(part) * runBytes) / MB,
  },
  { name: 'blobs', unit: 'MB', of: ({ bytes }) => bytes.blobs / MB, share: 0.2, atMost: 10 },
  {
    ...{ name: 'other files', unit: 'MB', of: ({ bytes }) => (bytes.other + bytes.journal) / MB },
    atMost: 1,
  },
]

const part = (what, series, of) =>
  series.map((each) => ({ ...each, part: what, name: each.name, sample: of }))

/** All series of a soak in real time. */
const realSeries = [
  ...part('instance', [...ofProcess, ...ofDisk], ({ instance }) => instance),
  ...part(
    'instance',
    [
      {
        ...{ name: 'backup', unit: 'MB', of: ({ bytes }) => bytes.backup / MB },
        ...{ share: 0.2, atMost: 10 },
        explained: (of) => (entries(of) * idBytes.backup + runs(of) * runBytes) / MB,
      },
      { name: 'replica lag', unit: 'records', of: ({ replicaLag }) => replicaLag, atMost: 500 },
    ],
    ({ instance }) => instance,
  ),
  ...part(
    'member a',
    ofProcess.filter(({ name }) => name !== 'actors'),
    ({ members }) => members.members.a ?? {},
  ),
  ...part('members', ofDisk, ({ members }) => members),
]

/** What the id of an entry takes in memory, where the rows of the simulated disk are. */
const idHeapBytes = 520

/** What has to be flat in virtual time: the disk is in memory too. */
export const virtualSeries = part(
  'a virtual day',
  [
    {
      ...{ name: 'live heap', unit: 'MB', of: ({ heapLive }) => heapLive / MB },
      ...{ share: 0.05, atMost: 2 },
      explained: (part) => (entries(part) * idHeapBytes) / MB,
    },
    { name: 'external', unit: 'MB', of: ({ external }) => external / MB, share: 0.2, atMost: 10 },
    { name: 'actors', unit: '', of: ({ actors }) => actors, share: 0.2, atMost: 10 },
    { name: 'projection lag', unit: 'MB', of: ({ lagBytes }) => lagBytes / MB, atMost: 1 },
  ],
  ({ virtual }) => virtual,
)

const withSeconds = (sample, of) => ({ ...of(sample), seconds: sample.seconds })

/** The points of a series: those of a sample that does not have it are not numbers. */
const pointsOf = (samples, { of, sample }) =>
  samples.map((each) => [each.seconds, of(sample(each)) ?? Number.NaN])

const explainedOf = (samples, { sample, explained = never }) => {
  const judged = samples.slice(Math.floor(samples.length / 4))
  const [first, last] = [judged.at(0), judged.at(-1)].map((each) =>
    explained(withSeconds(each, sample)),
  )
  return last - first
}

/** The verdict of each series. */
export const verdictsOf = (samples, series = realSeries) =>
  series.map((each) => ({
    ...each,
    ...verdictOf(pointsOf(samples, each), { ...each, explained: explainedOf(samples, each) }),
  }))

const flat = (value, path = '') =>
  value !== null && typeof value === 'object'
    ? Object.entries(value).flatMap(([key, each]) => flat(each, path ? `${path}.${key}` : key))
    : [[path, value]]

/** Appends a sample as a line of JSON, and shows how it goes on. */
export const told = (out, sample) => {
  appendFileSync(join(out, 'samples.jsonl'), `${JSON.stringify(sample)}\n`)
  const { instance, members, virtual } = sample
  if (virtual) {
    const { heapLive, external, wrong } = virtual
    const megabytes = [heapLive, external].map((bytes) => (bytes / MB).toFixed(1))
    const facts = `heap ${megabytes[0]} MB, external ${megabytes[1]} MB, wrong ${wrong}`
    console.error(`  ${(sample.seconds / 3_600).toFixed(1)} h: ${facts}`)
    return
  }
  const a = members.members.a ?? {}
  console.error(
    `  ${Math.round(sample.seconds)} s: cpu ${instance.cpu?.toFixed(0)} %, rss ${(instance.rss / MB).toFixed(0)} MB, ` +
      `log ${(instance.bytes.wal / MB).toFixed(0)} MB, loop ${instance.loopP99.toFixed(0)} ms, ` +
      `replica ${instance.replicaLag}, wrong ${instance.wrong + members.wrong}; ` +
      `member a: rss ${((a.rss ?? 0) / MB).toFixed(0)} MB, cpu ${(a.cpu ?? 0).toFixed(0)} %`,
  )
}

/** The samples as a table of commas: the columns of the fullest sample. */
const commasOf = (samples) => {
  const columns = [...new Set(samples.flatMap((each) => flat(each).map(([path]) => path)))]
  const lines = samples.map((each) => {
    const values = new Map(flat(each))
    return columns
      .map((column) => {
        const value = values.get(column)
        return typeof value === 'number' ? `${Math.round(value * 100) / 100}` : (value ?? '')
      })
      .join(',')
  })
  return `${[columns.join(','), ...lines].join('\n')}\n`
}

/** A value for each sample: one that is not known is the one before it. */
const filled = (values) => {
  let last = values.find(Number.isFinite) ?? 0
  return values.map((value) => {
    if (Number.isFinite(value)) last = value
    return last
  })
}

const curvesOf = (samples, series, names) =>
  names.map((name) => {
    const found = series.find((each) => each.name === name)
    return { name, values: filled(pointsOf(samples, found).map(([, value]) => value)) }
  })

const panels = [
  { title: 'Memory', unit: 'MB', names: ['anonymous', 'malloc', 'live heap', 'external'] },
  { title: 'Disk', unit: 'MB', names: ['log', 'lmdb', 'snapshots', 'blobs', 'backup'] },
  { title: 'Handles', unit: '', names: ['descriptors', 'threads', 'handles', 'timers', 'actors'] },
  { title: 'Lag of the projection', unit: 'MB', names: ['projection lag'] },
  { title: 'Lag of the replica', unit: 'records', names: ['replica lag'] },
  { title: 'Event loop', unit: 'ms, p99', names: ['loop p99'] },
]

const drawn = (samples, series, of) => {
  const { date, node, cores } = environment()
  const caption = `${of}: ${date.slice(0, 10)}, Node ${node}, ${cores} cores`
  const had = panels.map(({ names, ...rest }) => ({
    ...rest,
    names: names.filter((name) => series.some((each) => each.name === name)),
  }))
  const shown = had
    .filter(({ names }) => names.length > 0)
    .map(({ names, ...rest }) => ({ ...rest, curves: curvesOf(samples, series, names) }))
  return plot(shown, { caption, seconds: samples.at(-1).seconds })
}

const number = (value) => (Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(0))

const rowOf = ({ part: of, name, unit, level, growth, explained, bound, isFlat }) => [
  ...[of, unit ? `${name}, ${unit}` : name, number(level), number(growth)],
  ...[explained ? number(explained) : '', number(bound), isFlat ? 'yes' : 'NO'],
]

/** Judges the samples, writes all of it to `out`, and answers the verdicts. */
export const judged = (samples, { out, series = realSeries, prefix = 'soak' }) => {
  const verdicts = verdictsOf(samples, series)
  const head = ['', 'series', 'middle', 'growth', 'explained', 'bound', 'flat']
  const text = table([head, ...verdicts.map(rowOf)])
  writeFileSync(join(out, `${prefix}.csv`), commasOf(samples))
  writeFileSync(join(out, `${prefix}-verdict.md`), `${text}\n`)
  const parts = [...new Set(series.map((each) => each.part))]
  const pictures = parts.map((of) => {
    const own = series.filter((each) => each.part === of)
    const picture = drawn(samples, own, of)
    writeFileSync(join(out, `${prefix}-${of.replaceAll(' ', '-')}.svg`), picture)
    return picture
  })
  const page = `<!doctype html><meta charset="utf-8"><title>soak</title>\n<pre>${text}</pre>\n${pictures.join('\n')}\n`
  writeFileSync(join(out, `${prefix}.html`), page)
  console.log(`${text}\n`)
  if (existsSync(join(out, `${prefix}.html`))) console.log(`Drawn in ${out}`)
  return verdicts.map(({ part: of, name, level, growth, explained, bound, isFlat }) => ({
    ...{ part: of, name, level, growth, explained, bound, isFlat },
  }))
}
