/** What a replay has done, or would do. */
export interface ReplayFigures {
  readonly records: number
  /** Pages of which a chunk came or went; a page that is done again as it was is none. */
  readonly pagesChanged: number
  readonly chunksInserted: number
  readonly chunksDeleted: number
  /** Asked of the embeddings API. */
  readonly embeddingInputs: number
  readonly embeddingTokens: number
}

/** As the command's last line has them: these six and no other. */
export const sixFigures = (of: ReplayFigures): ReplayFigures => ({
  records: of.records,
  pagesChanged: of.pagesChanged,
  chunksInserted: of.chunksInserted,
  chunksDeleted: of.chunksDeleted,
  embeddingInputs: of.embeddingInputs,
  embeddingTokens: of.embeddingTokens,
})

export const describeFigures = (of: ReplayFigures): string =>
  `${of.records} records: ${of.pagesChanged} pages changed, ${of.chunksInserted} chunks inserted, ` +
  `${of.chunksDeleted} deleted; ${of.embeddingInputs} texts embedded, ${of.embeddingTokens} tokens`

/** undefined: no price is configured. */
export const describeCost = (tokens: number, pricePerMillion: number | undefined): string | undefined =>
  pricePerMillion === undefined
    ? undefined
    : `cost: about ${((tokens * pricePerMillion) / 1_000_000).toFixed(2)} (${pricePerMillion} per million tokens)`
