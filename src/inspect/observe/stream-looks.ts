/**
 * The streams of a durable actor or a run as the page shows them: each with its last messages. It is apart
 * from `looks.ts`, which knows views and no streams.
 */
import { isKeelsonError } from '../../errors.ts'
import type { StreamPage, StreamShown } from '../../observe/index.ts'
import { redacted } from '../../redaction.ts'
import { offsetBefore, workerKind } from '../../storage/index.ts'
import type { App } from '../../supervisors/index.ts'
import { lineText, shortText } from '../text/shown-text.ts'
import { entityIn } from './entity-looks.ts'
import { given, optionalText, type Query } from './questions.ts'
import { fitting } from './value-trees.ts'

/** The bounds of a frame: streams, those with messages, messages of one, and the bytes of all. */
const listedMax = 16
const tailsMax = 4
const tailMax = 10
const lineMax = 160
const streamsBytes = 6 * 1024

/** A page of a list, and the most bytes of it. */
const pageRows = 100
const pageBytes = 48 * 1024

/** The most pages that the last messages of one stream take: long ones fill many. */
const pagesMax = 4

/** The streams of an actor, the ones with the latest appends first; none while its shard refuses reads. */
export const streamsShown = async (
  app: App,
  kind: string,
  id: string,
): Promise<readonly StreamShown[]> => {
  try {
    const found = await app.streams.list({ of: `${kind}/${id}`, limit: 64 })
    const latest = found.toSorted((one, other) => other.writtenMs - one.writtenMs)
    const shown = latest.slice(0, listedMax).map(async (facts, at): Promise<StreamShown> => {
      const { name, messages, isClosed, writtenMs } = facts
      const tail = at < tailsMax ? await tailOf(app, kind, id, facts) : []
      return { name: shortText(name, lineMax), messages, isClosed, writtenMs, tail }
    })
    return fitting(await Promise.all(shown), streamsBytes)
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    return []
  }
}

/** A page of streams by themselves, or of an actor. @throws KeelsonError `INVALID_ARGUMENT`, `SHARD_DOWN` */
export const streamPage = async (app: App, query: Query): Promise<StreamPage> => {
  const isOfActor = (query.kind ?? query.id) !== undefined
  const { kind, id } = isOfActor ? entityIn(app, query) : {}
  const found = await app.streams.list({
    limit: pageRows,
    ...given({
      prefix: optionalText(query, 'prefix'),
      after: optionalText(query, 'after'),
      of: isOfActor ? `${kind}/${id}` : undefined,
    }),
  })
  const all = found.map(({ name, messages, bytes, isClosed, writtenMs }) => ({
    name,
    messages,
    bytes,
    isClosed,
    writtenMs,
  }))
  const rows = fitting(all, pageBytes)
  const isCut = rows.length < all.length || all.length === pageRows
  return { rows, ...given({ after: isCut ? rows.at(-1)?.name : undefined }) }
}

type Facts = Awaited<ReturnType<App['streams']['list']>>[number]

/** The last messages, a line each, under redaction. */
const tailOf = async (
  app: App,
  kind: string,
  id: string,
  facts: Facts,
): Promise<readonly string[]> => {
  const { name } = facts
  const source =
    kind === workerKind ? app.workerStream(id, name) : app.entity(kind).stream(id, name)
  const lines: string[] = []
  let from: string | undefined = offsetBefore(facts, tailMax)
  for (let pages = 0; pages < pagesMax && from !== undefined; pages++) {
    const { messages, next, isAtEnd } = await source.page({ from })
    lines.push(...messages.map(({ value }) => lineText(redacted(value), lineMax)))
    from = isAtEnd ? undefined : next
  }
  return lines.slice(-tailMax)
}
