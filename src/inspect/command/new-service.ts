/**
 * The files of a new service, from the templates of `examples/new`: which of them it has, what its
 * `package.json` says, and what is added to one that is there. Pure. It is apart from
 * `inspect/cli/init-command.ts`, which asks and writes.
 */
import { ownOf } from '../../own-names.ts'

/** The language of a service, and the parts that it may have. */
export type ServiceForm = {
  readonly typescript: boolean
  readonly http: boolean
  /** A Dockerfile. */
  readonly container: boolean
}

/** A file of a new service: its name, and the template that it is made from. */
export type ServiceFile = { readonly name: string; readonly template: string }

/** `package.json`, as far as this looks at it. */
export type Manifest = {
  readonly type?: unknown
  readonly scripts?: Readonly<Record<string, unknown>>
  readonly dependencies?: Readonly<Record<string, unknown>>
  readonly devDependencies?: Readonly<Record<string, unknown>>
}

/** The ending of the files of code: in a package whose type is no module, `.ts` would be CommonJS. */
const endingOf = ({ typescript }: ServiceForm, { type }: Manifest): string => {
  if (!typescript) return 'mjs'
  return type === 'module' ? 'ts' : 'mts'
}

/** The files of code, and those around it. */
export const serviceFiles = (form: ServiceForm, manifest: Manifest): ServiceFile[] => {
  const { typescript, http, container } = form
  const [folder, of] = typescript ? ['ts', 'ts'] : ['js', 'mjs']
  const parts = ['keelson.config', 'stock', 'order', ...(http ? ['http'] : []), 'shop.test']
  const ending = endingOf(form, manifest)
  return [
    ...parts.map((part) => ({
      name: `${part}.${ending}`,
      // Its template has another name: here it is no test.
      template: `${folder}/${part.replace('.test', '-test')}.${of}`,
    })),
    ...(typescript ? [{ name: 'tsconfig.json', template: 'ts/tsconfig.json' }] : []),
    ...(container ? [{ name: 'Dockerfile', template: 'Dockerfile' }] : []),
  ]
}

/** The text of a file: lines with the mark `//:http` are for services with HTTP. */
export const serviceText = (template: string, form: ServiceForm, manifest: Manifest): string => {
  const text = form.http
    ? template.replaceAll(' //:http', '')
    : template.replace(/^.* \/\/:http\n/gm, '')
  return endingOf(form, manifest) === 'mts' ? text.replaceAll(/\.ts(?=['"])/g, '.mts') : text
}

/** Lines for files that list what tools leave out. */
export const ignoredFiles = ({ container }: ServiceForm) => ({
  '.gitignore': ['node_modules/', 'data/'],
  ...(container && { '.dockerignore': ['.git', 'node_modules/', 'data/'] }),
})

/** Lines that are added to the present text of such a file. */
export const missingLines = (present: string, lines: readonly string[]): string => {
  const has = new Set(present.split('\n').map((line) => line.trim().replace(/\/$/, '')))
  const missing = lines.filter((line) => !has.has(line.replace(/\/$/, '')))
  const begin = present === '' || present.endsWith('\n') ? '' : '\n'
  return missing.length === 0 ? '' : `${begin}${missing.join('\n')}\n`
}

/** A `package.json` that has everything; `left`: parts that it has in another way than a new one. */
export type CompletedManifest = { readonly manifest: Manifest; readonly left: readonly string[] }

/**
 * Adds what is missing in a `package.json`. `stripsTypes`: Node runs TypeScript by itself here. The
 * script `test` of `npm init`, which only fails, counts as missing.
 */
export const completedManifest = (
  present: Manifest,
  form: ServiceForm,
  version: string,
  stripsTypes: boolean,
): CompletedManifest => {
  const ending = endingOf(form, present)
  const withJiti = form.typescript && !stripsTypes
  const scripts: Readonly<Record<string, string>> = {
    check: `${form.typescript ? 'tsc --noEmit && ' : ''}keelson check`,
    test: `node ${withJiti ? '--import jiti/register ' : ''}--test shop.test.${ending}`,
    dev: 'keelson dev',
    start: 'keelson start',
    service: 'keelson run',
  }
  const tools = {
    ...(form.typescript && { '@types/node': '>=20.19', typescript: '>=5.9' }),
    ...(withJiti && { jiti: '^2.7.0' }),
  }
  const { scripts: own, dependencies, devDependencies } = present
  const isPlaceholder = String(own?.test).startsWith('echo "Error: no test specified"')
  const ownScripts = Object.entries(own ?? {}).filter(
    ([name]) => !(name === 'test' && isPlaceholder),
  )
  const madeScripts = { ...scripts, ...Object.fromEntries(ownScripts) }
  return {
    manifest: {
      ...present,
      scripts: madeScripts,
      dependencies: { keelson: `^${version}`, ...dependencies },
      ...(form.typescript && { devDependencies: { ...tools, ...devDependencies } }),
    },
    left: Object.entries(scripts)
      .filter(([name, script]) => ownOf(madeScripts, name) !== script)
      .map(([name]) => `the script ${name} of package.json`),
  }
}

/** A new `package.json`, without scripts and dependencies yet. */
export const newManifest = (folder: string, form: ServiceForm, stripsTypes: boolean): Manifest => {
  const name = folder
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '')
  const node = form.typescript && stripsTypes ? '>=22.18' : '>=20.19'
  const made = { name: name || 'service', private: true, type: 'module', engines: { node } }
  return made
}
