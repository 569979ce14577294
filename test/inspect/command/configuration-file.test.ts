import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { configError, isKeelsonError } from '../../../src/errors.ts'
import { namingFile, readConfiguration } from '../../../src/inspect/command/configuration-file.ts'

let cwd = ''
beforeEach(() => {
  cwd = realpathSync(mkdtempSync(join(tmpdir(), 'keelson-config-')))
})
afterEach(() => rmSync(cwd, { recursive: true, force: true }))

const write = (name: string, text: string): string => {
  mkdirSync(dirname(join(cwd, name)), { recursive: true })
  writeFileSync(join(cwd, name), text)
  return join(cwd, name)
}

const read = (config?: string, dir?: string) => readConfiguration({ cwd, config, dir })

/** The same without the marks of parts: each copy of a part stands for the part. */
const readPlain = async (config?: string) => structuredClone(await read(config))

const refusal = async (config?: string): Promise<unknown> => {
  const error = await read(config).catch((thrown: unknown) => thrown)
  if (!isKeelsonError(error)) return error
  const { path, file } = error.details
  return { code: error.code, path, file, named: error.message.includes(String(file ?? '')) }
}

const tree = {
  kind: 'supervisor',
  id: 'app',
  options: { strategy: 'rest_for_one' },
  children: [
    { kind: 'worker', id: 'counter', module: './actors/counter.ts', options: { arg: 1 } },
    {
      kind: 'supervisor',
      id: 'inner',
      options: {},
      children: [{ kind: 'worker', id: 'deep', module: '../deep.js', options: {} }],
    },
  ],
}

/** The tree with its modules' paths absolute. */
const locatedTree = (folder: string) => {
  const located = structuredClone(tree)
  Object.assign(located.children[0] ?? {}, { module: join(folder, 'actors/counter.ts') })
  Object.assign(located.children[1]?.children?.[0] ?? {}, { module: join(folder, '../deep.js') })
  return located
}

describe('a configuration file', () => {
  for (const [name, text] of [
    ['keelson.config.json', JSON.stringify({ wal: { maxDelayMs: 2 }, app: tree })],
    [
      'keelson.config.js',
      `export default ${JSON.stringify({ wal: { maxDelayMs: 2 }, app: tree })}`,
    ],
    [
      'keelson.config.mjs',
      `export default ${JSON.stringify({ wal: { maxDelayMs: 2 }, app: tree })}`,
    ],
    [
      'keelson.config.ts',
      `type Config = { wal: { maxDelayMs: number }; app: unknown }
       const config = ${JSON.stringify({ wal: { maxDelayMs: 2 }, app: tree })} satisfies Config
       export default config as Config`,
    ],
  ] as const)
    test(`is found by its name and loaded: ${name}`, { tags: ['slow'] }, async () => {
      write('package.json', '{"type":"module"}')
      const file = write(name, text)

      const options = {
        wal: { maxDelayMs: 2 },
        app: locatedTree(cwd),
        dir: join(cwd, 'keelson-data'),
      }
      expect(await readPlain()).toEqual({ file, options })
    })

  test('yields to --acts and --no-app', async () => {
    const file = write('keelson.config.json', JSON.stringify({ app: tree, acts: true }))
    const dir = join(cwd, 'keelson-data')
    const words = { cwd, config: undefined, dir: undefined }
    const alone = await readConfiguration({ ...words, app: false })
    expect(alone).toEqual({ file, options: { dir, app: false, acts: false } })
    const acting = await readConfiguration({ ...words, acts: true })
    expect(structuredClone(acting.options)).toEqual({ dir, app: locatedTree(cwd), acts: true })
  })

  test('in JSON may begin with a byte order mark', async () => {
    write('keelson.config.json', '\uFEFF{"shards":2}')

    expect((await read()).options.shards).toBe(2)
  })

  test('may be CommonJS', async () => {
    write('keelson.config.cjs', 'module.exports = { shards: 2 }')

    expect((await read('keelson.config.cjs')).options).toMatchObject({ shards: 2 })
  })

  test('in TypeScript may import other TypeScript', async () => {
    write('settings.ts', 'export const shards: number = 3')
    write('keelson.config.ts', "import { shards } from './settings.ts'\nexport default { shards }")

    expect((await read()).options).toMatchObject({ shards: 3 })
  })

  test('named by --config is taken instead, its paths beginning at itself', async () => {
    write('keelson.config.json', JSON.stringify({ shards: 2 }))
    const file = write('etc/mine.json', JSON.stringify({ dir: '../data', app: tree }))

    expect(await readPlain('etc/mine.json')).toEqual({
      file,
      options: { dir: join(cwd, 'data'), app: locatedTree(join(cwd, 'etc')) },
    })
  })

  test('is looked for in the order ts, js, mjs, json', async () => {
    write('package.json', '{"type":"module"}')
    for (const [at, ending] of ['json', 'mjs', 'js', 'ts'].entries()) {
      const options = JSON.stringify({ shards: at + 1 })
      write(`keelson.config.${ending}`, ending === 'json' ? options : `export default ${options}`)
      expect((await read()).options).toMatchObject({ shards: at + 1 })
    }
  })

  test('is not needed', async () => {
    expect(await read()).toEqual({ file: undefined, options: { dir: join(cwd, 'keelson-data') } })
  })
})

describe('the data folder', () => {
  test('is what --dir says, taken from the present folder, before what the file says', async () => {
    write('etc/keelson.json', JSON.stringify({ dir: 'from-file' }))

    expect((await read('etc/keelson.json', 'here')).options.dir).toBe(join(cwd, 'here'))
    expect((await read('etc/keelson.json')).options.dir).toBe(join(cwd, 'etc/from-file'))
    expect((await read(undefined, '../up')).options.dir).toBe(join(cwd, '../up'))
  })

  test('is not made by reading the configuration', async () => {
    write('keelson.config.json', JSON.stringify({ dir: 'data' }))
    await read()

    expect(readdirSync(cwd)).toEqual(['keelson.config.json'])
  })
})

describe('a wrong configuration is refused with CONFIG, naming file and path', () => {
  for (const [what, options, path] of [
    ['an unknown option', { sharts: 1 }, 'sharts'],
    ['a wrong number', { shards: 0 }, 'shards'],
    ['a wrong option of a part', { wal: { maxFileSize: 1 } }, 'wal.maxFileSize'],
    ['an unknown option of a part', { wal: { fsync: true } }, 'wal.fsync'],
    ['a folder that is no text', { dir: 1 }, 'dir'],
    ['an empty folder', { dir: '' }, 'dir'],
    ['a tree that is none', { app: [] }, 'app'],
    ['a worker as the root', { app: tree.children[0] }, 'app'],
    [
      'a wrong strategy',
      { app: { ...tree, options: { strategy: 'one-for-one' } } },
      'app.options.strategy',
    ],
    [
      'a child without a module',
      { app: { ...tree, children: [{ kind: 'worker', id: 'a', options: {} }] } },
      'app.children[0].module',
    ],
    [
      'two children of one id',
      { app: { ...tree, children: [tree.children[1], tree.children[1]] } },
      'app.children[1].id',
    ],
  ] as const)
    test(what, async () => {
      const file = write('keelson.config.json', JSON.stringify(options))

      expect(await refusal()).toEqual({ code: 'CONFIG', path, file, named: true })
    })

  for (const [what, name, text] of [
    ['no JSON', 'c.json', '{'],
    ['no JavaScript', 'c.mjs', 'export default {'],
    ['no TypeScript', 'c.ts', 'export default const'],
    ['a module that throws', 'c.mjs', "throw new Error('no')"],
    ['a module that imports what is not there', 'c.mjs', "import './nothing.mjs'"],
  ] as const)
    test(`a file that cannot be loaded: ${what}`, async () => {
      const file = write(name, text)

      expect(await refusal(name)).toEqual({ code: 'CONFIG', path: undefined, file, named: true })
    })

  for (const [what, name, text] of [
    ['nothing', 'c.mjs', 'export const shards = 1'],
    ['a function', 'c.mjs', 'export default () => ({})'],
    ['an array', 'c.json', '[]'],
    ['null', 'c.json', 'null'],
  ] as const)
    test(`a default export that is no object: ${what}`, async () => {
      const file = write(name, text)

      expect(await refusal(name)).toEqual({
        code: 'CONFIG',
        path: 'default export',
        file,
        named: true,
      })
    })

  test('a module without a default export, which it says, with what the module has', async () => {
    const file = write('c.mjs', 'export const shards = 1, dir = "data"')

    const error = await read('c.mjs').catch((found) => found)
    expect(error.message).toBe(
      `${file} has no default export: write \`export default { dir: …, app: … }\``,
    )
    expect(error.details.found).toBe('only dir, shards')
  })

  test('a file that is not there', async () => {
    expect(await refusal('nowhere.ts')).toMatchObject({ code: 'CONFIG', path: '--config' })
  })

  test('a file of another kind', async () => {
    write('c.yaml', 'shards: 1')

    expect(await refusal('c.yaml')).toMatchObject({ code: 'CONFIG', path: '--config' })
  })
})

test('what start refuses later gets the name of the file too; other errors stay as they are', () => {
  const later = configError('app.children[0].module', 'a module that loads', 'x.ts')
  const other = new Error('no')

  expect(namingFile('c.ts', later)).toMatchObject({
    code: 'CONFIG',
    details: { file: 'c.ts', path: 'app.children[0].module' },
  })
  expect(namingFile(undefined, later)).toBe(later)
  expect(namingFile('c.ts', other)).toBe(other)
})
