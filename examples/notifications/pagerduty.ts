import { type Notifier, webhook } from 'unleash-rollout-guard';

/** PagerDuty, by its Events API v2: an alert for what is critical, which is resolved when that is over. In Europe: `https://events.eu.pagerduty.com/v2/enqueue` */
export function pagerDuty(routingKey: string, url = 'https://events.pagerduty.com/v2/enqueue'): Notifier {
  return webhook({
    name: 'pagerduty',
    url,
    body: (notification) => {
      const { type, severity, title, message, facts, time, incident } = notification;
      const { flagKey, project, environment, flagUrl, dashboardUrl } = notification;
      // All that is critical has one. What follows a decision, such as that an operator must act, belongs to its alert.
      if (incident === undefined) return undefined;
      const alert = { routing_key: routingKey, dedup_key: incident.key };
      if (incident.status === 'resolved') return { ...alert, event_action: 'resolve' };
      return {
        ...alert,
        event_action: 'trigger',
        payload: {
          summary: cut(`${title}: ${message}`, 1_024),
          source: `${project}/${environment}`,
          severity,
          timestamp: time,
          component: flagKey,
          class: type,
          custom_details: Object.fromEntries(facts.map(({ name, value }) => [name, value])),
        },
        links: [
          ...(dashboardUrl === undefined ? [] : [{ href: dashboardUrl, text: 'Open the dashboard' }]),
          { href: flagUrl, text: 'Open in Unleash' },
        ],
        client: 'unleash-rollout-guard',
        client_url: dashboardUrl ?? flagUrl,
      };
    },
  });
}

const cut = (text: string, most: number) => [...text].slice(0, most).join('');
