/** All scripts of workflows on one engine, in two lives of a process. */
import { fileURLToPath } from 'node:url'
import { playLives } from '../harness/scripts.mjs'
import { scripts } from './scripts.mjs'

const program = fileURLToPath(new URL('./player.mjs', import.meta.url))

/** Answers for each script `{ title, status, value or error, steps: { key: runs }, notes }`. */
export const playScripts = (engine, place, folder) =>
  playLives({ program, scripts, lives: 2 }, engine, place, folder)
