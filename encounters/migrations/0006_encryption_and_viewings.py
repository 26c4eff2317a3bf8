import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models
from django.db.models import TextField, Value

from encounters import encryption, search

BATCH = 500


def encrypted_fields(apps):
    for name in ("Patient", "Encounter", "Video"):
        model = apps.get_model("encounters", name)
        yield model, [field for field in model._meta.get_fields() if isinstance(field, encryption.Encrypted)]


def rows(model, fields, using):
    """Each row's key, and what its columns hold as they stand."""
    raw = {f"raw_{field.name}": field.raw for field in fields}
    found = model.objects.using(using).annotate(**raw).order_by("pk").values_list("pk", *raw)
    return found.iterator(chunk_size=BATCH)


def encrypt(apps, schema_editor):
    using = schema_editor.connection.alias
    for model, fields in encrypted_fields(apps):
        for pk, *values in rows(model, fields, using):
            plain = dict(zip((field.name for field in fields), values, strict=True))
            model.objects.using(using).filter(pk=pk).update(**plain)
    terms = apps.get_model("encounters", "SearchTerm").objects.using(using)
    patients = apps.get_model("encounters", "Patient").objects.using(using)
    for patient in patients.order_by("pk").iterator(chunk_size=BATCH):
        number = search.number_index(patient.team_id, patient.record_number)
        patients.filter(pk=patient.pk).update(record_number_index=number, index_key=search.present_key())
        terms.bulk_create(terms.model(patient=patient, term=term) for term in search.terms(patient))
    at_once(schema_editor)


def decrypt(apps, schema_editor):
    using = schema_editor.connection.alias
    for model, fields in encrypted_fields(apps):
        for pk, *values in rows(model, fields, using):
            plain = {
                field.name: Value(encryption.decrypt(value, place=field.place), TextField())
                for field, value in zip(fields, values, strict=True)
            }
            model.objects.using(using).filter(pk=pk).update(**plain)
    at_once(schema_editor)


def at_once(schema_editor):
    """PostgreSQL alters no table while a foreign key in it is still to be checked."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        schema_editor.execute("SET CONSTRAINTS ALL DEFERRED")


class Migration(migrations.Migration):
    """Encrypt what identifies a patient, and index it blindly; backwards, it is readable again. Count seconds."""

    dependencies = [("encounters", "0005_erasure")]

    operations = [
        migrations.RemoveConstraint("patient", "patient_record_number_unique_in_team"),
        migrations.AddField("patient", "index_key", models.CharField(default="", editable=False, max_length=40), preserve_default=False),
        migrations.AddField("patient", "record_number_index", models.CharField(default="", editable=False, max_length=64), preserve_default=False),
        migrations.AlterField("encounter", "description", encryption.EncryptedTextField(blank=True, max_length=4000, verbose_name="what the video shows")),
        migrations.AlterField("encounter", "what_to_film", encryption.EncryptedTextField(max_length=2000)),
        migrations.AlterField("patient", "birth_date", encryption.EncryptedDateField(verbose_name="date of birth")),
        migrations.AlterField("patient", "email", encryption.EncryptedEmailField(blank=True, max_length=254, verbose_name="e-mail address")),
        migrations.AlterField("patient", "family_name", encryption.EncryptedCharField(max_length=100)),
        migrations.AlterField("patient", "given_name", encryption.EncryptedCharField(max_length=100)),
        migrations.AlterField("patient", "mobile", encryption.EncryptedCharField(blank=True, max_length=30, verbose_name="mobile number")),
        migrations.AlterField("patient", "record_number", encryption.EncryptedCharField(max_length=40)),
        migrations.AlterField("video", "original_name", encryption.EncryptedCharField(max_length=255)),
        migrations.CreateModel(
            name="SearchTerm",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("term", models.BigIntegerField()),
                ("patient", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="search_terms", to="encounters.patient")),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("term", "patient"), name="search_term_once_a_patient")]},
        ),
        migrations.AddField("accessrecord", "seconds", models.PositiveIntegerField(blank=True, null=True)),
        migrations.AlterField("accessrecord", "verb", models.CharField(choices=[('encounter created', 'Encounter Created'), ('encounter viewed', 'Encounter Viewed'), ('encounter reviewed', 'Encounter Reviewed'), ('link created', 'Link Created'), ('link withdrawn', 'Link Revoked'), ('link opened', 'Link Opened'), ('wrong date of birth', 'Birth Date Wrong'), ('consent given', 'Consent Given'), ('description written', 'Described'), ('upload started', 'Upload Started'), ('upload refused', 'Upload Refused'), ('upload completed', 'Upload Completed'), ('upload aborted', 'Upload Aborted'), ('upload abandoned', 'Upload Abandoned'), ('videos submitted', 'Submitted'), ('video played', 'Video Played'), ('seconds watched', 'Seconds Watched'), ('conversion tried again', 'Conversion Retried'), ('opened with a reason', 'Opened With Reason'), ('access records viewed', 'Records Viewed'), ('access records exported', 'Records Exported'), ('chain of custody exported', 'Custody Exported'), ('signed in', 'Signed In'), ('signed out', 'Signed Out'), ('sign-in failed', 'Sign In Failed'), ('signed out everywhere', 'Sessions Ended'), ('password changed', 'Password Changed'), ('e-mail address verified', 'Email Verified'), ('second factor added', 'Second Factor Added'), ('second factor removed', 'Second Factor Removed'), ('member of staff invited', 'Staff Invited'), ('member of staff changed', 'Staff Changed'), ('team changed', 'Team Changed')], max_length=40)),
        migrations.CreateModel(
            name="Viewing",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("heard_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("pieces", models.JSONField(default=list)),
                ("recorded", models.PositiveIntegerField(default=0)),
                ("record", models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name="viewing", to="encounters.accessrecord")),
            ],
        ),
        migrations.RunPython(encrypt, decrypt),
        migrations.AddConstraint("patient", models.UniqueConstraint(fields=("team", "record_number_index"), name="patient_record_number_unique_in_team")),
    ]
