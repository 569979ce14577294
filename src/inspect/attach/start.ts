/**
 * The public `start`: an instance that serves attached prompts if its options ask for that. It
 * loads the supervisors, so that a program that uses only actors does not load the storage.
 */
import { noMore } from '../../check.ts'
import type { App, StartOptions } from '../../supervisors/index.ts'

/**
 * Starts an instance in `options.dir`. Resolves when every read is right, after recovery, replay
 * and a rebuild of projections. `await app.close()` ends it in order. A process that ends without
 * it loses nothing that was acknowledged.
 * @throws KeelsonError with nothing changed on disk (but LOCK in an old folder): `CONFIG`
 * (`details.path`), `LOCKED_DIR` (`details.holder`), `READ_ONLY`, `NO_SPACE`,
 * `UNSUPPORTED_VERSION`, `CORRUPT` (file, offset, lsn, evidence)
 */
export const start = async (options: StartOptions, ...surplus: []): Promise<App> => {
  noMore(surplus, 'start({ dir, app, … })')
  const supervisors = await import('../../supervisors/index.ts')
  const loadMembers = () => import('../../members/index.ts')
  if (options?.attach !== true) return supervisors.start(options, loadMembers)
  const { attachable, childSpec } = await import('./attach-server.ts')
  const member = supervisors.folderMemberOf(options)
  const app = await supervisors.start(options, loadMembers, (instance, app) =>
    childSpec(instance, app, member),
  )
  await attachable(app)
  return app
}
