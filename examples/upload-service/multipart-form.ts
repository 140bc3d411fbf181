import { randomUUID } from 'node:crypto';

/** A `multipart/form-data` body around a file: send `head`, then the file's bytes, then `tail`. */
export interface MultipartForm {
  readonly contentType: string;
  readonly head: Buffer;
  readonly tail: Buffer;
}

/** Frames one file, after plain text fields. */
export function multipartForm(
  fields: Readonly<Record<string, string>>,
  file: { readonly name: string; readonly contentType: string },
): MultipartForm {
  const boundary = `----upload-${randomUUID()}`;
  const texts = Object.entries(fields).map(
    ([name, value]) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="${quotable(name)}"\r\n\r\n${value}\r\n`,
  );
  const fileHeader =
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${quotable(file.name)}"\r\n` +
    `Content-Type: ${mediaType(file.contentType)}\r\n\r\n`;
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    head: Buffer.from(texts.join('') + fileHeader),
    tail: Buffer.from(`\r\n--${boundary}--\r\n`),
  };
}

/** As browsers do: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data */
function quotable(text: string): string {
  return text.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

/** What a client announced is not trusted with a header of its own. */
function mediaType(announced: string): string {
  return /^[\w.+-]+\/[\w.+-]+$/.test(announced) ? announced : 'application/octet-stream';
}
