/** Durable actors as the page of `keelson observe` shows them. Looking wakes none. */

import { shownState, surveyEntity } from '../../actors/index.ts'
import { isKeelsonError } from '../../errors.ts'
import { keptText, recordLines } from '../../failure-record.ts'
import type {
  EntityDetail,
  EntityName,
  Kind,
  KindPage,
  Pending,
  Views,
} from '../../observe/index.ts'
import { checkEntityId, workerKind } from '../../storage/index.ts'
import { type App, durableActors } from '../../supervisors/index.ts'
import { type EntityFacts, entityAt, failuresOf, pidOf } from '../answers/entities.ts'
import { kindsAnywhere, unlessSilent } from '../answers/member-looks.ts'
import { nextTurn, processAt } from '../answers/process-pages.ts'
import { troubledAnywhere, troubleWords } from '../answers/troubled-entities.ts'
import { lineText, shortText } from '../text/shown-text.ts'
import { entityWhereIn } from '../text/where-text.ts'
import { machineShown, withDrawing } from './machine-shown.ts'
import { given, optionalText, type Query, textIn, wordIn } from './questions.ts'
import { runningStep } from './running-handlers.ts'
import { fitting, redactedTree, shownTree } from './value-trees.ts'

const pageRows = 100
const pageReads = 20
/** A page of several conditions may have no entity, and looks at many. */
const pagesMax = 10
const lineMax = 160
const fieldsMax = 50
const pendingMax = 100
/** The most bytes of parts: a frame has 64 KiB, of which the state takes up to 24. */
const fieldsBytes = 6 * 1024
const pendingBytes = 6 * 1024

/**
 * The name of an entity of a kind that runs, or of a durable worker. @throws KeelsonError
 * `INVALID_ARGUMENT`
 */
export const entityIn = (app: App, query: Query): EntityName => {
  const named = { kind: textIn(query, 'kind'), id: textIn(query, 'id') }
  if (named.kind === workerKind) checkEntityId(named.id)
  // Both are checked here.
  else app.entity(named.kind).ref(named.id)
  return named
}

/** The kinds of all members, with how many of each are in trouble. */
export const kindsShown = async (app: App): Promise<Views['entities']['data']> => {
  const { kinds: counted, silent } = await kindsAnywhere(app)
  // Unknown while a shard is down, and of all kinds while a member does not answer.
  const alarmsOf = counted.map(({ kind }) => known(() => app.entity(kind).alarms({ limit: 1 })))
  const alarms = await known(() => unlessSilent(app, 'the alarms', Promise.all(alarmsOf)))
  const kinds: Kind[] = []
  for (const [at, facts] of counted.entries()) {
    await nextTurn(app.system)
    const fields = (await known(() => fieldsOf(app, facts.kind))) ?? []
    kinds.push({ ...facts, fields, ...given({ nextAlarmAt: alarms?.[at]?.[0]?.at }) })
  }
  return { kinds, ...(silent.length > 0 && { silent }) }
}

/** The answer of a look; `undefined` while a shard refuses it. */
const known = async <T>(look: () => T | Promise<T>): Promise<T | undefined> => {
  try {
    return await look()
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    return undefined
  }
}

/** The index fields of the first entity of a kind here, by which a list can be asked. */
const fieldsOf = (app: App, kind: string): readonly string[] => {
  const { entities, entityIn } = app[durableActors]
  const open = entities.shards.filter(({ phase }) => phase.kind === 'open')
  const [first] = entityIn(kind, open).list({ limit: 1, states: false }).entries
  const rows = first && surveyEntity(app.entities, `${kind}/${first.id}`)
  return Object.keys(rows?.fields ?? {}).slice(0, fieldsMax)
}

/** A page of the entities of a kind, read in parts with turns of the event loop between them. */
export const kindShown = async (app: App, query: Query): Promise<KindPage> => {
  const handle = app.entity(textIn(query, 'kind'))
  const only = wordIn(query, 'only', troubleWords)
  if (only !== undefined) return { rows: await troubledAnywhere(app, handle.kind, only) }
  const field = optionalText(query, 'field')
  const one = field === undefined ? {} : { [field]: fieldValue(textIn(query, 'value')) }
  const all = { ...one, ...entityWhereIn(optionalText(query, 'where') ?? '') }
  const where = Object.keys(all).length === 0 ? {} : { where: all }
  const rows: KindPage['rows'][number][] = []
  let cursor = optionalText(query, 'cursor')
  let pagesLeft = pagesMax
  do {
    const of = { ...where, limit: pageReads, ...(cursor && { cursor }) }
    const page = await handle.page(of as object)
    for (const { id, state, blocked } of page.entries) {
      const shown = blocked ? undefined : shownState(app.entities, handle.kind, state)
      const text = blocked ? blocked.message : lineText(shown, lineMax)
      rows.push({
        id,
        text: shortText(text, lineMax),
        ...placeOf(app, handle.kind, id),
        ...(blocked && { blocked: shortText(blocked.message, lineMax) }),
      })
    }
    cursor = page.cursor
    await nextTurn(app.system)
    pagesLeft--
  } while (cursor !== undefined && rows.length < pageRows && pagesLeft > 0)
  return { rows, ...(cursor !== undefined && { cursor }) }
}

/** The value of an index field that a text names: `null`, `true`, `17` or a text. */
const fieldValue = (text: string): string | number | boolean | null => {
  if (text === 'null') return null
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
}

const placeOf = (app: App, kind: string, id: string): { readonly pid?: number } =>
  given({ pid: pidOf(app, { kind, id }) })

/** One entity or durable worker as it is now. @throws KeelsonError `INVALID_ARGUMENT`, `SHARD_DOWN` */
export const entityShown = (app: App, query: Query): EntityDetail => {
  const { kind, id } = entityIn(app, query)
  const facts = entityAt(app, { kind, id })
  const { pid, handling, blocked, wouldBlock, rows } = facts
  const process = pid === undefined ? undefined : processAt(app.system, pid)
  const running = process && runningStep(app, process)
  const machine = machineShown(app.entities.tableOf(kind, id)?.machine, rows?.state)
  const detail: EntityDetail = {
    ...given<Pick<EntityDetail, 'pid' | 'handling' | 'blocked' | 'wouldBlock'>>({
      pid,
      handling,
      blocked,
      wouldBlock: wouldBlock && shortText(wouldBlock, 400),
    }),
    failures: failuresShown(facts),
    ...(rows && {
      born: {
        incarnation: rows.incarnation,
        seq: rows.seq,
        version: rows.version,
        state: shownTree(rows.state),
        fields: redactedTree(
          Object.fromEntries(Object.entries(rows.fields).slice(0, fieldsMax)),
          fieldsBytes,
        ),
        steps: fitting(
          rows.steps.slice(0, pendingMax).map(({ name, notBefore, tries, failure }) => ({
            ...pending({ name, tries, failure }, notBefore || undefined),
            ...(running?.step === name && { runsSince: running.since }),
          })),
          pendingBytes,
        ),
        alarms: fitting(
          [...rows.alarms]
            // The end of the entity is an alarm of the system's own.
            .filter(([name]) => !name.startsWith('$'))
            .slice(0, pendingMax)
            .map(([name, { dueAt, tries, failure }]) => pending({ name, tries, failure }, dueAt)),
          pendingBytes,
        ),
        calls: rows.calls,
        ...given({ endsAt: kind === workerKind ? undefined : app.entity(kind).endsAt(id) }),
      },
    }),
  }
  return withDrawing(detail, machine)
}

/** The most failures that are shown, and the most bytes of them. */
const failuresMax = 5
const failuresBytes = 8 * 1024

const failuresShown = (facts: EntityFacts): EntityDetail['failures'] =>
  fitting(
    failuresOf(facts)
      .slice(0, failuresMax)
      .map(({ title, error }) => ({
        title: shortText(title, 300),
        lines: recordLines(error).map((line) => shortText(line, 400)),
      })),
    failuresBytes,
  )

type Tried = Pick<
  NonNullable<ReturnType<typeof surveyEntity>>['steps'][number],
  'name' | 'tries' | 'failure'
>

const pending = ({ name, tries, failure }: Tried, dueAt: number | undefined): Pending => ({
  name: shortText(name, 300),
  tries,
  ...given<Pending>({
    dueAt,
    error: failure && shortText(keptText(failure.error), 400),
    next: failure?.next,
  }),
})
