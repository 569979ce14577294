/**
 * Which lines of a stack are of the user's code. Those of Keelson and of Node's insides say nothing
 * about a fault of the user. Pure.
 */
import { fileURLToPath } from 'node:url'

/** The folder of the package. A user's bundler moves this file; then no frame is known as Keelson's. */
const packageUrl = /^(.*\/)(?:src|dist\/chunks)\/[^/]+$/.exec(import.meta.url)?.[1]

const ownPlaces = (packageUrl === undefined ? [] : [packageUrl, fileURLToPath(packageUrl)]).flatMap(
  (place) => [`${place}src/`, `${place}dist/`],
)

/** Whether a line is a frame of a stack. */
export const isFrame = (line: string): boolean => /^\s+at /.test(line)

/** Whether a line is a frame of Keelson or of Node's insides. */
export const isHiddenFrame = (line: string): boolean =>
  isFrame(line) &&
  (/\bnode:(internal\/|async_hooks:)/.test(line) || ownPlaces.some((place) => line.includes(place)))
