#!/usr/bin/env node
/**
 * `npm run api`: a page for every exported name, made by TypeDoc from the declarations of the build,
 * in `.tmp/api`. TypeDoc has no release for TypeScript 7, so it is installed here, at the first run,
 * beside a TypeScript 6.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('../../', import.meta.url))

const run = (command, args) => {
  const { status } = spawnSync(command, args, { cwd: here, stdio: 'inherit' })
  if (status !== 0) process.exit(1)
}

const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const entries = Object.values(exports).flatMap(({ types }) => (types ? [join(root, types)] : []))
const tsconfig = join(root, '.tmp/api.json')
const compilerOptions = { module: 'nodenext', target: 'es2024', skipLibCheck: true, types: [] }
mkdirSync(join(root, '.tmp'), { recursive: true })
writeFileSync(tsconfig, JSON.stringify({ compilerOptions, files: entries }))

if (!existsSync(join(here, 'node_modules'))) run('npm', ['ci', '--no-audit', '--no-fund'])
run('npx', [
  'typedoc',
  ...entries,
  ...['--out', join(root, '.tmp/api'), '--tsconfig', tsconfig, '--name', 'Keelson'],
  // Peers that are not installed have no types here, and names inside of a file have no page.
  ...['--readme', 'none', '--skipErrorChecking', '--logLevel', 'Error'],
])
console.log('.tmp/api/index.html')
