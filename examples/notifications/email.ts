import { createTransport } from 'nodemailer';
import { NotifyError, type NotifyFunction } from 'unleash-rollout-guard';

/** E-mail over SMTP, with nodemailer. @param server - Such as `{ host, port: 465, secure: true, auth: { user, pass } }` */
export function email(server: object, from: string, to: string): NotifyFunction {
  // Shorter than the 10 s of an attempt: a connection that hangs ends before the next one.
  const timeouts = { connectionTimeout: 5_000, greetingTimeout: 5_000, socketTimeout: 8_000 };
  const transport = createTransport({ ...server, ...timeouts });
  return async function emailNotifier(notification) {
    const { id, severity, title, message, facts, environment, flagUrl, dashboardUrl, incident } =
      notification;
    const links = dashboardUrl === undefined ? [flagUrl] : [dashboardUrl, flagUrl];
    const lines = [message, ...facts.map(({ name, value }) => `${name}: ${value}`)];
    try {
      await transport.sendMail({
        from,
        to,
        subject: `[${severity}] ${title} (${environment})`,
        // The same for each attempt, so that mail programs show a repetition once.
        messageId: `<${id.replaceAll(':', '.')}@rollout-guard>`,
        // Mail programs show what belongs to an incident, and that it is over, in one thread.
        references: incident && `<${encodeURIComponent(incident.key)}@rollout-guard>`,
        text: [...lines, ...links].join('\n\n'),
        html: [
          ...lines.map((line) => `<p>${escaped(line)}</p>`),
          ...links.map((link) => `<p><a href="${escaped(link)}">${escaped(link)}</a></p>`),
        ].join(''),
      });
    } catch (error) {
      const { responseCode = 0 } = error as { responseCode?: number };
      // A mail server that refuses for good (550, 535) refuses the next attempt, too.
      throw new NotifyError(`The mail server did not take the message (${responseCode || 'no reply'}).`, {
        retryable: responseCode < 500,
      });
    }
  };
}

const escaped = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
