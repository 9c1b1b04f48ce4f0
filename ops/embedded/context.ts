/** What every part is started with. */
export interface StartContext {
  /** Downloads, shared between data folders. */
  readonly libDir: string
  readonly logFile: string
  /** Aborted when another part has failed: give up at once. */
  readonly signal?: AbortSignal | undefined
  /** Something is being fetched; `detail` says what. */
  readonly onDownload?: (detail: string) => void
  /** Everything is there, the process is about to start. */
  readonly onStart?: () => void
}
