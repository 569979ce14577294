/** Runs of workflows that have failed of late, or of which a step fails and is tried again. */
import type { App } from '../../supervisors/index.ts'
import type { Recorded } from '../recorder/records.ts'
import { flowOf, flowPart, namesOf } from './flow-looks.ts'
import type { CausedTrouble } from './troubles.ts'
import { shortText } from './value-trees.ts'

const failedMax = 20
const failingMax = 10
const recentMs = 600_000
const textMax = 400

/** The troubles of runs. `failures`: the failed steps that the recorder has, the newest last. */
export const runTroubles = async (
  app: App,
  failures: readonly Recorded[],
): Promise<readonly CausedTrouble[]> => {
  const types = namesOf(app, 'workflow')
  if (types.length === 0) return []
  const flow = await flowOf(app)
  const since = app.system.clock.now() - recentMs
  const failed = types.flatMap((type) => {
    const of = { type: flowPart(app, 'workflow', type) as never, status: 'failed' as const }
    const { entries, cursor } = flow.list({ ...of, since, limit: failedMax, order: 'desc' })
    const found = entries.map(({ id, since: at, error }) =>
      troubleOf('run failed', [type, id], at, error ? `${error.name}: ${error.message}` : ''),
    )
    return cursor === undefined ? found : [...found, moreOf(type)]
  })
  const failing = recentRuns(failures, types).flatMap(([type, id]) => {
    const workflow = flowPart(app, 'workflow', type) as never
    const row = flow.get(workflow, id)
    if (!row || row.status === 'blocked' || row.error) return []
    return flow
      .steps(workflow, id)
      .entries.filter(({ tries, outcome }) => tries > 0 && outcome === undefined)
      .map(({ key, tries, error, at }) =>
        troubleOf('failing step', [type, id], at, error?.message ?? '', [key, tries]),
      )
  })
  return [...failed, ...failing]
}

/** The last runs of which a step has failed. */
const recentRuns = (
  failures: readonly Recorded[],
  types: readonly string[],
): readonly (readonly [type: string, id: string])[] => {
  const runs = [...new Set(failures.map(({ subject }) => subject).reverse())]
  return runs
    .map((subject) => {
      const [type = '', ...id] = subject.split('/')
      return [type, id.join('/')] as const
    })
    .filter(([type]) => types.includes(type))
    .slice(0, failingMax)
}

/** A line for more failed runs than are named. */
const moreOf = (type: string): CausedTrouble => ({
  ...{ tone: 'warn', sort: 'run failed', subject: `and more of ${type}`, text: '' },
  link: { view: 'runs', parts: [type] },
})

const troubleOf = (
  sort: string,
  [type, id]: readonly [type: string, id: string],
  at: number,
  error: string,
  step?: readonly [key: string, tries: number],
): CausedTrouble => ({
  ...{ tone: 'warn', sort, at, link: { view: 'run', parts: [type, id] } },
  subject: shortText(`${type}/${id}`, 300),
  text: shortText(step ? `${step[0]}, try ${step[1]}: ${error}` : error, textMax),
  cause: shortText(step ? `${step[0]}: ${error}` : error, textMax),
})
