/** Plays a scenario: a driver process carries out its steps, and the trace of each is taken once everything has settled. */
import {
  type Context,
  cast,
  createSystem,
  type GenServer,
  noReply,
  type Ref,
  type System,
} from '../../../src/runtime/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { castTerm, messageTerm, subjectTerm } from './actions.ts'
import { Memory } from './operations.ts'
import { type PatientClock, patientClock } from './patient-clock.ts'
import { Recorder } from './recorder.ts'
import type { Operation, Scenario, StepTrace, Term } from './scenario.ts'
import { Stage } from './stage.ts'
import { carryOut } from './steps.ts'
import type { Talk } from './talk.ts'

type DriverMessages = Talk & { casts: { step: (run: (memory: Memory) => Promise<void>) => void } }

/** The trace of `scenario` on the runtime. With a seed, the order of processes is drawn from it. */
export const play = async (scenario: Scenario, seed?: number): Promise<StepTrace[]> => {
  const clock = patientClock()
  const system = createSystem({
    clock,
    logger: silentLogger,
    ...(seed === undefined ? {} : { seed }),
  })
  const recorder = new Recorder(system)
  const stage = new Stage(scenario, system, clock, recorder)
  const driver = await startDriver(system, recorder)
  const traces: StepTrace[] = []
  try {
    for (const step of scenario.steps)
      traces.push(recorder.take(await runStep(step, driver, stage, clock)))
  } finally {
    for (const { ref } of system.processes()) system.kill(ref)
  }
  return traces
}

/** One step, until nothing more happens without time passing. Only a step that itself has to wait lets time pass. */
const runStep = async (
  step: Operation,
  driver: Ref<DriverMessages>,
  stage: Stage,
  clock: PatientClock,
): Promise<Term> => {
  const expectEnd = (): void => {
    if (clock.isSpent()) throw new Error(`the step ${JSON.stringify(step)} never settles`)
  }
  clock.renew()
  if (step[0] === 'advance') {
    await clock.advance(Number(step[1]))
    await clock.settle()
    expectEnd()
    return 'ok'
  }
  let result: Promise<Term> | undefined
  let isDone = false
  cast(driver, 'step', async (memory) => {
    result = Promise.resolve(carryOut(step, memory, stage)).finally(() => {
      isDone = true
    })
    await result.catch(() => undefined)
  })
  await clock.settle()
  while (!isDone) {
    expectEnd()
    const left = clock.untilNext()
    if (left === undefined) throw new Error(`the step ${JSON.stringify(step)} never ends`)
    await clock.advance(left)
  }
  await clock.settle()
  expectEnd()
  return (await result) ?? null
}

/** Starts the driver by somebody else, so that it is not its own parent: an exit that it sends to itself is a message. */
const startDriver = (system: System, recorder: Recorder): Promise<Ref<DriverMessages>> =>
  new Promise((resolve, reject) => {
    system.spawn(async (context) => {
      const result = await context.startLinkResult(driverServer(recorder), undefined)
      if (result.ok) resolve(result.ref)
      else reject(new Error('the driver does not start'))
      await context.receive()
    })
  })

/** The driver: it traps exits, and whatever reaches it is an event. */
const driverServer = (recorder: Recorder): GenServer<DriverMessages, Memory> => ({
  init: (_, context) => {
    context.trapExit(true)
    return new Memory(
      recorder.label('driver', context.self),
      context as unknown as Context<Talk>,
      recorder,
    )
  },
  calls: { say: (memory) => noReply(memory) },
  casts: {
    say: (memory, message) => {
      memory.record('info', ...castTerm('say', message, memory))
      return noReply(memory)
    },
    step: async (memory, run) => {
      await run(memory)
      return noReply(memory)
    },
  },
  infos: {
    say: (memory, { name: what, payload }) => {
      memory.record('info', what, recorder.encode(payload))
      return noReply(memory)
    },
    ring: (memory, fired) => {
      memory.record(...messageTerm('ring', fired, memory))
      return noReply(memory)
    },
    task: (memory, done) => {
      memory.record('info', ...messageTerm('task', done, memory))
      return noReply(memory)
    },
  },
  continues: { go: (memory) => noReply(memory) },
  exit: (memory, { from, reason }) => {
    memory.record('exit', recorder.encode(from), recorder.encode(reason))
    return noReply(memory)
  },
  down: (memory, { monitor, target, reason }) => {
    memory.record(
      'down',
      memory.tagOf(monitor),
      subjectTerm(target, memory),
      recorder.encode(reason),
    )
    return noReply(memory)
  },
})
