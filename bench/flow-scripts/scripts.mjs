/**
 * The scripts that Keelson and DBOS both play. A script has bodies (`main`, and others that it starts) in words that both have,
 * and up to two lives of the process: between them it is killed. `life` is the host's part of each; without any the host starts
 * `main` and waits for its end. `differs` says why Keelson's outcome is another one, on purpose, and which.
 */
import { cancels } from './scripts-cancels.mjs'
import { children } from './scripts-children.mjs'
import { crashes } from './scripts-crashes.mjs'
import { forks } from './scripts-forks.mjs'
import { signals } from './scripts-signals.mjs'
import { starts } from './scripts-starts.mjs'
import { steps } from './scripts-steps.mjs'

const startAndEnd = async (host) => {
  await host.start()
  await host.end()
}

/** All scripts, each with its number. */
export const scripts = [
  ...[...steps, ...starts, ...signals, ...children, ...cancels, ...crashes, ...forks],
].map((script, number) => ({ lives: [startAndEnd], ...script, number }))
