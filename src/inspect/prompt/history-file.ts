/**
 * The lines of earlier sessions: `~/.keelson_history`, readable by its owner only. Lines may hold
 * what the store holds. A prompt works without its history, so no failure of the file disturbs it.
 */
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Environment } from '../command/environment.ts'

/** The most lines that are kept. */
export const historyMax = 1_000

const ownerOnly = 0o600

/** Where the history is kept: `KEELSON_HISTORY`, none if that is empty; else the home folder. */
export const historyPath = ({
  KEELSON_HISTORY: path,
  HOME: home,
}: Environment['variables']): string | undefined => {
  if (path !== undefined) return path === '' ? undefined : path
  return home ? join(home, '.keelson_history') : undefined
}

/** The lines in the file, the latest first, as readline keeps them. */
export const readHistory = (path: string): string[] => {
  try {
    const lines = readFileSync(path, 'utf8').split('\n')
    return lines
      .filter((line) => line !== '')
      .reverse()
      .slice(0, historyMax)
  } catch {
    return []
  }
}

/** Replaces the file by `lines`, the latest first. */
export const writeHistory = (path: string, lines: readonly string[]): void => {
  try {
    const text = lines.toReversed().map((line) => `${line}\n`)
    writeFileSync(path, text.join(''), { mode: ownerOnly })
    // Often a link to /dev/null, which all users need.
    if (statSync(path).isFile()) chmodSync(path, ownerOnly)
  } catch {
    // A home that cannot be written has no history.
  }
}
