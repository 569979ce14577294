// `start` and `startSimulated`, whose instances are judged by their own tree before they are closed. `says` gets each finding
// that blocks or acts, and the number of runs and actors.
import { rehearse } from '../../../../dist/testing/index.js'

const judge = async (app, tree, says, during = (work) => work) => {
  const report = await during(rehearse({ from: app, app: tree })).catch(unlessClosed)
  if (!report) return
  says({
    findings: report.findings.filter(({ level }) => level !== 'notes'),
    judged: report.counts.runs + report.counts.actors,
  })
}

/** What is closed, or has a shard that is down, is not judged. */
const unlessClosed = (error) => {
  if (!['CLOSED', 'SHARD_DOWN', 'ELSEWHERE'].includes(error.code)) throw error
}

const closesWith = (of, before) => {
  const close = of.close.bind(of)
  const value = async (...given) => {
    await before()
    return close(...given)
  }
  Object.defineProperty(of, 'close', { value })
}

export const judgedStart = (start, says) =>
  Object.assign(async (options, ...surplus) => {
    const app = await start(options, ...surplus)
    if (options?.app) closesWith(app, () => judge(app, options.app, says))
    return app
  }, start)

export const judgedSimulation =
  (startSimulated, says) =>
  async (options, ...surplus) => {
    const simulation = await startSimulated(options, ...surplus)
    let tree = options?.app
    const start = simulation.start.bind(simulation)
    const value = (more) => {
      if (more?.app) tree = more.app
      return start(more)
    }
    Object.defineProperty(simulation, 'start', { value })
    const during = (work) => simulation.during(work, { withinMs: 60_000 })
    closesWith(simulation, async () => {
      if (tree && isRunning(simulation)) await judge(simulation.app, tree, says, during)
    })
    return simulation
  }

const isRunning = (simulation) => {
  try {
    return Boolean(simulation.app)
  } catch {
    return false
  }
}
