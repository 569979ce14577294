/** Tools that tests install from the registry, once, below `.tmp`: other versions of Node, package managers. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** The path of a file of a package, or why it cannot be installed. */
export const installedTool = (
  folder: string,
  spec: string,
  file: string,
): { readonly path: string } | { readonly lack: string } => {
  const home = resolve('.tmp', folder)
  const path = join(home, 'node_modules', file)
  try {
    mkdirSync(home, { recursive: true })
    // Without it npm installs into the package around the folder.
    writeFileSync(join(home, 'package.json'), '{}')
    const words = ['install', '--no-save', '--no-audit', '--no-fund', spec]
    if (!existsSync(path)) execFileSync('npm', words, { cwd: home, stdio: 'pipe' })
    return { path }
  } catch (error) {
    return { lack: `${spec} cannot be installed: ${(error as Error).message}` }
  }
}

/** The folder of the command `node` of a version. `.ci/run` finds it there, too. */
export const installedNode = (
  version: number,
): { readonly bin: string } | { readonly lack: string } => {
  if (process.versions.node.startsWith(`${version}.`)) return { bin: dirname(process.execPath) }
  const tool = installedTool(`nodes/${version}`, `node@${version}`, 'node/bin/node')
  if ('lack' in tool) return tool
  try {
    execFileSync(tool.path, ['--version'])
    return { bin: dirname(tool.path) }
  } catch (error) {
    return { lack: `Node ${version} does not run: ${(error as Error).message}` }
  }
}

/** Packs the package into a folder of `.tmp`, and answers the path of the file. */
export const packed = (folder: string): string => {
  const home = resolve('.tmp', folder)
  mkdirSync(home, { recursive: true })
  const words = ['pack', '--json', '--ignore-scripts', '--pack-destination', home]
  const [{ filename }] = JSON.parse(execFileSync('npm', words, { encoding: 'utf8' })) as [
    { readonly filename: string },
  ]
  return join(home, filename)
}
