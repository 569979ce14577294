/**
 * `keelson health`: what is in trouble in an instance that runs, for people, monitors and scripts. It
 * asks as an attached prompt does.
 */
import { type Environment, printLine } from '../command/environment.ts'
import { paintFor } from '../text/paint.ts'
import { type HealthAnswer, healthView } from '../views/health-view.ts'
import type { HealthCommand } from './command-line.ts'
import { callOf, runLine } from './flow-command.ts'

/**
 * Runs the command and resolves with the exit status: 1 if anything is in trouble, or if the instance
 * does not say.
 * @throws KeelsonError as `runLine`; `TIMEOUT` after 10 s
 */
export const runHealth = (
  command: HealthCommand,
  environment: Environment,
  verbose: boolean,
): Promise<number> =>
  runLine(callOf('health', [{ json: true }]), command, environment, verbose, {
    withinMs: answerMs,
    answered: (json) => {
      const { output, variables } = environment
      const answer: HealthAnswer = JSON.parse(json)
      printLine(output, command.json ? json : healthView(answer, paintFor(output, variables)))
      return answer.troubles.length > 0 ? 1 : 0
    },
  })

/** The instance has so long to answer, in ms: a monitor that asks must not hang with it. */
const answerMs = 10_000
