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

/** Whether a line is a frame of a package that the user has installed. */
const isPackageFrame = (line: string): boolean => /[\\/]node_modules[\\/]/.test(line)

/**
 * The first place of a stack in the user's code, as a path with line and column; in a package of theirs if
 * there is none in their own files; `undefined`: it has no frame of theirs.
 */
export const userPlace = (stack: string | undefined): string | undefined => {
  const isTheirs = (line: string): boolean =>
    placeForm.test(line) && isFrame(line) && !isHiddenFrame(line) && !/\bnode:/.test(line)
  const frames = stack?.split('\n').filter(isTheirs) ?? []
  return placeForm.exec(frames.find((line) => !isPackageFrame(line)) ?? frames[0] ?? '')?.[1]
}

/** The end of a frame with a file: a path, its line and its column. */
const placeForm = /\(?(?:file:\/\/)?(\/[^()]+:\d+:\d+)\)?$/

/** As `userPlace`, if the error was thrown there, and not by Keelson. */
export const thrownPlace = (stack: string | undefined): string | undefined => {
  const first = stack?.split('\n').find(isFrame)
  return first === undefined || isHiddenFrame(first) ? undefined : userPlace(stack)
}
