/**
 * A strict reader of OpenMetrics 1.0, written from the standard and not from the writer: names and
 * suffixes by type, units, escapes, one block for each family, series without repeats, buckets that
 * grow to `+Inf`, and the end.
 */

/** A sample: its name, its labels and its value. */
export type Sample = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A family of metrics. */
export type ReadFamily = {
  readonly name: string
  readonly type: string
  readonly unit: string
  readonly help: string
  readonly samples: readonly Sample[]
}

const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total', '_created'],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count', '_created'],
  info: ['_info'],
  stateset: [''],
  unknown: [''],
}

/** Reads the whole text. Throws an Error with the line that breaks a rule. */
export const readOpenMetrics = (text: string): ReadFamily[] => {
  if (!text.endsWith('# EOF\n')) throw new Error('it does not end with # EOF and a line feed')
  const families: ReadFamily[] = []
  const seen = new Set<string>()
  let family:
    | { name: string; type: string; unit: string; help: string; samples: Sample[] }
    | undefined
  const begin = (name: string): NonNullable<typeof family> => {
    if (family?.name === name) return family
    if (seen.has(name)) throw new Error(`${name}: its lines are not together`)
    seen.add(name)
    family = { name, type: 'unknown', unit: '', help: '', samples: [] }
    families.push(family)
    return family
  }
  for (const line of text.slice(0, -'# EOF\n'.length).split('\n').slice(0, -1)) {
    const [, word, name = '', rest = ''] = /^# (HELP|TYPE|UNIT) ([^ ]+) (.*)$/.exec(line) ?? []
    if (word !== undefined) {
      const at = begin(name)
      if (at.samples.length > 0) throw new Error(`metadata after samples: ${line}`)
      if (word === 'HELP') at.help = unescaped(rest)
      if (word === 'TYPE') at.type = rest
      if (word === 'UNIT') at.unit = rest
      if (word === 'UNIT' && !name.endsWith(`_${rest}`)) throw new Error(`unit: ${line}`)
      continue
    }
    const sample = readSample(line)
    const own = (suffixes[family?.type ?? ''] ?? []).map((suffix) => `${family?.name}${suffix}`)
    if (!family || !own.includes(sample.name)) throw new Error(`no sample of its family: ${line}`)
    family.samples.push(sample)
  }
  for (const each of families) checkFamily(each)
  return families
}

const readSample = (line: string): Sample => {
  const [, name = '', , braced = '', value = ''] =
    /^([a-zA-Z_:][\w:]*)(\{(.*)\})? (\S+)$/.exec(line) ?? []
  if (name === '') throw new Error(`no sample: ${line}`)
  const labels: Record<string, string> = {}
  const pair = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\n"])*)"(,|$)/y
  while (pair.lastIndex < braced.length) {
    const [, label = '', text = ''] = pair.exec(braced) ?? []
    if (label === '' || label in labels) throw new Error(`labels: ${line}`)
    labels[label] = unescaped(text)
  }
  const number = value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value)
  if (Number.isNaN(number)) throw new Error(`value: ${line}`)
  return { name, labels, value: number }
}

const unescaped = (text: string): string =>
  text.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))

const checkFamily = ({ name, type, samples }: ReadFamily): void => {
  const keys = samples.map((sample) => `${sample.name}${JSON.stringify(sorted(sample.labels))}`)
  if (new Set(keys).size !== keys.length) throw new Error(`${name}: a series comes twice`)
  if (type === 'counter' && samples.some(({ value }) => value < 0 || !Number.isFinite(value)))
    throw new Error(`${name}: a counter is below 0`)
  if (type === 'stateset' && samples.some(({ labels, value }) => !(name in labels) || value > 1))
    throw new Error(`${name}: a state without its label`)
  if (type === 'histogram') checkBuckets(name, samples)
}

const sorted = (labels: Sample['labels']): [string, string][] =>
  Object.entries(labels).sort(([left], [right]) => (left < right ? -1 : 1))

const checkBuckets = (name: string, samples: readonly Sample[]): void => {
  const before = new Map<string, { le: number; value: number }>()
  for (const { name: of, labels, value } of samples) {
    const { le, ...others } = labels
    const key = JSON.stringify(sorted(others))
    const last = before.get(key) ?? { le: Number.NEGATIVE_INFINITY, value: 0 }
    if (of === `${name}_bucket`) {
      const bound = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le)
      if (!(bound > last.le) || value < last.value) throw new Error(`${name}: buckets of ${key}`)
      before.set(key, { le: bound, value })
    }
    if (of === `${name}_count` && (last.le !== Number.POSITIVE_INFINITY || last.value !== value))
      throw new Error(`${name}: the count of ${key}`)
  }
}
