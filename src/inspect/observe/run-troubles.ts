/** Runs of workflows that have failed of late. */
import type { App } from '../../supervisors/index.ts'
import { flowOf, flowPart, namesOf } from './flow-looks.ts'
import type { CausedTrouble } from './troubles.ts'
import { shortText } from './value-trees.ts'

const failedMax = 20
const recentMs = 600_000
const textMax = 400

/** The troubles of runs. */
export const runTroubles = async (app: App): Promise<readonly CausedTrouble[]> => {
  const types = namesOf(app, 'workflow')
  if (types.length === 0) return []
  const flow = await flowOf(app)
  const since = app.system.clock.now() - recentMs
  return types.flatMap((type) => {
    const of = { type: flowPart(app, 'workflow', type) as never, status: 'failed' as const }
    const { entries, cursor } = flow.list({ ...of, since, limit: failedMax, order: 'desc' })
    const found = entries.map(({ id, since: at, error }) =>
      troubleOf([type, id], at, error ? `${error.name}: ${error.message}` : ''),
    )
    return cursor === undefined ? found : [...found, moreOf(type)]
  })
}

/** A line for more failed runs than are named. */
const moreOf = (type: string): CausedTrouble => ({
  ...{ tone: 'warn', sort: 'run failed', subject: `and more of ${type}`, text: '' },
  link: { view: 'runs', parts: [type] },
})

const troubleOf = (
  [type, id]: readonly [type: string, id: string],
  at: number,
  error: string,
): CausedTrouble => ({
  ...{ tone: 'warn', sort: 'run failed', at, link: { view: 'run', parts: [type, id] } },
  subject: shortText(`${type}/${id}`, 300),
  text: shortText(error, textMax),
  cause: shortText(error, textMax),
})
