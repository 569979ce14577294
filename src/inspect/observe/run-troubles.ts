/** Runs of workflows that have failed of late, or of which a step fails and is tried again. */
import type { Trouble } from '../../observe/index.ts'
import type { App } from '../../supervisors/index.ts'
import type { Recorded } from '../recorder/records.ts'
import { flowOf, flowPart, namesOf } from './flow-looks.ts'
import { shortText } from './value-trees.ts'

const failedMax = 10
const failingMax = 10
const recentMs = 600_000
const textMax = 400

/** The troubles of runs. `failures`: the failed steps that the recorder has, the newest last. */
export const runTroubles = async (
  app: App,
  failures: readonly Recorded[],
): Promise<readonly Trouble[]> => {
  const types = namesOf(app, 'workflow')
  if (types.length === 0) return []
  const flow = await flowOf(app)
  const since = app.system.clock.now() - recentMs
  const failed = types.flatMap((type) => {
    const of = { type: flowPart(app, 'workflow', type) as never, status: 'failed' as const }
    const { entries } = flow.list({ ...of, since, limit: failedMax, order: 'desc' })
    return entries.map(({ id, since: at, error }) =>
      troubleOf('run failed', type, id, error ? `${error.name}: ${error.message}` : '', at),
    )
  })
  const failing = recentRuns(failures, types).flatMap(([type, id]) => {
    const workflow = flowPart(app, 'workflow', type) as never
    const row = flow.get(workflow, id)
    if (!row || row.status === 'blocked' || row.error) return []
    return flow
      .steps(workflow, id)
      .entries.filter(({ tries, outcome }) => tries > 0 && outcome === undefined)
      .map(({ key, tries, error, at }) =>
        troubleOf('failing step', type, id, `${key}, try ${tries}: ${error?.message ?? ''}`, at),
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

const troubleOf = (sort: string, type: string, id: string, text: string, at: number): Trouble => ({
  ...{
    tone: 'warn',
    sort,
    subject: shortText(`${type}/${id}`, 300),
    text: shortText(text, textMax),
  },
  at,
  link: { view: 'run', parts: [type, id] },
})
