/**
 * An error as text for the log: its stack without the frames that say nothing to the reader, its
 * details and its causes. Pure.
 */
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { KeelsonError, reasonText } from '../../errors.ts'
import { describeReason } from './exit-reason.ts'

/**
 * The folder of the package. A user's bundler moves this file; then no frame is known as Keelson's.
 */
const packageUrl = /^(.*\/)(?:src\/runtime\/words|dist\/chunks)\/[^/]+$/.exec(import.meta.url)?.[1]

const ownPlaces = (packageUrl === undefined ? [] : [packageUrl, fileURLToPath(packageUrl)]).flatMap(
  (place) => [`${place}src/`, `${place}dist/`],
)

/**
 * What is to be added to `said`, a text about `error`: its first line, unless `said` has it; its
 * frames but those of Keelson and of Node's insides; details and causes. An error that has no other
 * frames is a fault of Keelson's own, and keeps them all, unless it is a `KeelsonError`.
 */
export const stackText = (error: Error, said: string): string => {
  const text = inspect(error)
  const head = describeReason(error)
  const isOwn = error instanceof KeelsonError
  const isSaid = said.includes(head) || (isOwn && said.includes(reasonText(error)))
  const rest = isSaid && text.startsWith(head) ? text.slice(head.length) : `\n${text}`
  const lines = rest.split('\n')
  const isTheirs = lines.some((line) => isFrame(line) && !isHidden(line))
  return isTheirs || isOwn ? lines.flatMap(shown).join('\n') : rest
}

const isFrame = (line: string): boolean => /^\s+at /.test(line)

const isHidden = (line: string): boolean =>
  isFrame(line) &&
  (/\bnode:(internal\/|async_hooks:)/.test(line) || ownPlaces.some((place) => line.includes(place)))

/** The details of an error begin behind its last frame, on the same line. */
const shown = (line: string): string[] => {
  if (!isHidden(line)) return [line]
  return line.endsWith(' {') ? [line.replace(/\S.*$/, '{')] : []
}
