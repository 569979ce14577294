/** All scripts of queues on one engine, in three lives of a process. */
import { fileURLToPath } from 'node:url'
import { playLives } from '../harness/scripts.mjs'
import { scripts } from './scripts.mjs'

const program = fileURLToPath(new URL('./player.mjs', import.meta.url))

/** Answers for each script `{ title, runs: { job: runs }, dead: [{ job, tries, error }], notes }`. */
export const playScripts = (engine, place, folder) =>
  playLives({ program, scripts, lives: 3 }, engine, place, folder)
