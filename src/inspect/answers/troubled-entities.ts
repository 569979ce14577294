/** The entities of a kind that are in one sort of trouble, at all members, with error and since when. */
import { overdueOf, parkedActors } from '../../actors/index.ts'
import { invalidArgument } from '../../errors.ts'
import type { KindPage, KindQuery } from '../../observe/index.ts'
import { type App, innerParts } from '../../supervisors/index.ts'
import { entityKindOf } from '../recorder/recorder.ts'
import { shortText } from '../text/shown-text.ts'
import { pidOf } from './entities.ts'
import { eachMember } from './member-looks.ts'

/** The sorts of trouble by which a kind can be listed. */
export const troubleWords = ['blocked', 'failing', 'parked', 'overdue'] as const

type Trouble = NonNullable<KindQuery['only']>
type Rows = KindPage['rows']

const rowsMax = 100
const lineMax = 160

/** The sort of trouble that a word names. @throws KeelsonError `INVALID_ARGUMENT` */
export const troubleIn = (found: unknown): Trouble => {
  const word = troubleWords.find((each) => each === found)
  if (word) return word
  throw invalidArgument('only', troubleWords.join(', '), found)
}

/** The question of members to each other. */
const question = 'look.troubled'

/** Answers other members from now on. */
export const answerTroubled = (app: App): void =>
  app[innerParts].way?.answer(question, (payload) => {
    const { kind, only } = Object(payload) as Record<string, unknown>
    // Its process is there: a page here has no link to it.
    return troubled(app, String(kind), troubleIn(only)).map(({ pid: _, ...row }) => row)
  })

/** Those of all members, the ones that last longest first, and the members that do not answer. */
export const troubledAnywhere = async (app: App, kind: string, only: Trouble): Promise<Rows> => {
  const own = () => troubled(app, kind, only)
  const { found, silent } = await eachMember(app, question, { kind, only }, own)
  const noAnswer = silent.map(({ member, reason }) => {
    const text = shortText(`member ${member} does not answer: ${reason}`, lineMax)
    return { id: '', text }
  })
  const longest = found.flat().sort((one, other) => sinceOf(one) - sinceOf(other))
  return [...noAnswer, ...longest].slice(0, rowsMax)
}

const sinceOf = ({ since = Number.POSITIVE_INFINITY }: Rows[number]): number => since

const troubled = (app: App, kind: string, only: Trouble): Rows => {
  const rows: Rows[number][] = []
  for (const { id, text, since } of troubles[only](app, kind)) {
    const pid = pidOf(app, { kind, id })
    rows.push({
      id,
      text: shortText(text, lineMax),
      ...(pid !== undefined && { pid }),
      ...(since !== undefined && { since }),
    })
    if (rows.length === rowsMax) break
  }
  return rows
}

type Troubled = { readonly id: string; readonly text: string; readonly since?: number | undefined }

/** There may be very many, of which the first ones are read. */
const troubles: Record<Trouble, (app: App, kind: string) => Iterable<Troubled>> = {
  *blocked({ entities }, kind) {
    for (const [id, reason] of entities.kind(kind)?.blocked ?? [])
      yield { id, text: reason.message, since: entities.trouble.blockedSince(reason) }
  },
  *parked({ entities }, kind) {
    for (const [id, { message }] of parkedActors(entities, kind)) yield { id, text: message }
  },
  *failing({ entities }, kind) {
    for (const [entity, turns] of entities.trouble.failing)
      if (entityKindOf(entity) === kind)
        for (const { what, error, since } of turns.values())
          yield { id: entity.slice(kind.length + 1), text: `${what}: ${error}`, since }
  },
  *overdue({ entities }, kind) {
    for (const { entity, what, at } of entities.shards.flatMap(overdueOf))
      if (entityKindOf(entity) === kind)
        yield { id: entity.slice(kind.length + 1), text: what, since: at }
  },
}
